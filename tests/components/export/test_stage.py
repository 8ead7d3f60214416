"""The SavedModel as another process sees it."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the ops that a reloaded tokenizer needs

from tpuline.components.contracts import Servable, ShardSet, TrainedModel
from tpuline.components.export.stage import Config, Inputs, run
from tpuline.components.messy import MESSY_TEXTS
from tpuline.components.modeling import BagSpec, BertSpec, GruSpec, ModelSpec
from tpuline.components.vocabulary import TokenizerType
from tpuline.pipeline.hardware.strategy import dtype_policy

from . import toy

SPECS: dict[str, tuple[ModelSpec, bool]] = {
    "bert": (BertSpec(num_layers=1, num_heads=2, hidden_dim=16, intermediate_dim=32), False),
    "bert pair": (BertSpec(num_layers=1, num_heads=2, hidden_dim=16, intermediate_dim=32), True),
    "gru": (GruSpec(embedding_dim=8, units=8), False),
    "bag": (BagSpec(embedding_dim=8, hidden_dim=8), False),
    "bag sentencepiece": (BagSpec(embedding_dim=8, hidden_dim=8), False),
}


KINDS: dict[str, TokenizerType] = {"bag sentencepiece": "sentencepiece"}


@dataclass(frozen=True)
class Exported:
    """One run of the stage, with its SavedModel loaded again."""

    shards: ShardSet
    model: TrainedModel
    servable: Servable
    loaded: Any

    @property
    def folder(self) -> Path:
        return Path(self.servable.uri) / self.servable.saved_model_dir

    def answer(self, texts: list[bytes]) -> dict[str, tf.Tensor]:
        """Of the string signature; a pair is a text twice."""
        column = tf.constant(texts, tf.string)
        pair = {"text_pair": column} if self.shards.has_text_pair else {}
        return self.loaded.signatures["serving_default"](text=column, **pair)


def export(
    shards: ShardSet, model: TrainedModel, workdir: Path, config: Config | None = None
) -> Exported:
    """Runs the stage."""
    inputs = Inputs(shards=shards, model=model)
    servable = run(config or Config(), inputs, toy.context(workdir))
    loaded = tf.saved_model.load(str(Path(servable.uri) / servable.saved_model_dir))
    return Exported(shards, model, servable, loaded)


@pytest.fixture(scope="module", params=SPECS, ids=lambda name: name.replace(" ", "-"))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Shards, model and servable of each kind."""
    spec, has_text_pair = SPECS[request.param]
    folder = tmp_path_factory.mktemp("exported")
    kind = KINDS.get(request.param, "wordpiece")
    shards = toy.write_shards(folder / "shards", has_text_pair=has_text_pair, kind=kind)
    model = toy.write_model(folder / "model", shards, spec)
    return export(shards, model, folder / "work")


def test_parity_passes_on_held_out_and_messy_texts(exported: Exported) -> None:
    parity = exported.servable.parity
    assert parity.passed
    assert parity.token_mismatches == 0
    assert 0 <= parity.max_abs_diff <= 1e-5
    assert parity.num_texts == 256 + len(MESSY_TEXTS)


def test_signatures_have_the_promised_names_types_and_shapes(exported: Exported) -> None:
    shards, loaded = exported.shards, exported.loaded
    texts = ["text", "text_pair"] if shards.has_text_pair else ["text"]
    features = ["token_ids", "padding_mask"] + ["segment_ids"] * shards.has_text_pair
    expected = {
        "serving_default": {name: tf.TensorSpec([None], tf.string, name) for name in texts},
        "tokens": {name: tf.TensorSpec([None, None], tf.int32, name) for name in features},
        "examples": {"examples": tf.TensorSpec([None], tf.string, "examples")},
    }
    assert set(loaded.signatures) == set(expected)
    for name, inputs in expected.items():
        assert loaded.signatures[name].structured_input_signature == ((), inputs)
        assert loaded.signatures[name].structured_outputs == {
            "label": tf.TensorSpec([None], tf.string, "label"),
            "score": tf.TensorSpec([None], tf.float32, "score"),
            "probabilities": tf.TensorSpec([None, 3], tf.float32, "probabilities"),
        }


def test_label_and_score_are_those_of_the_most_probable_class(exported: Exported) -> None:
    answer = exported.answer(list(MESSY_TEXTS))
    probabilities = answer["probabilities"].numpy()
    names = [toy.LABEL_NAMES[best].encode() for best in probabilities.argmax(axis=1)]
    assert answer["label"].numpy().tolist() == names
    assert answer["score"].numpy().tolist() == probabilities.max(axis=1).tolist()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)
    assert len(np.unique(probabilities.round(4), axis=0)) > 10, "texts hardly differ"


def test_a_batch_without_rows_is_answered_without_rows(exported: Exported) -> None:
    assert exported.answer([])["probabilities"].shape == (0, 3)


def test_a_text_is_answered_alike_alone_and_beside_a_long_one(exported: Exported) -> None:
    alone = exported.answer([b"great film"])["probabilities"][0]
    beside = exported.answer([b"great film", b"dull " * 50])["probabilities"][0]
    np.testing.assert_allclose(alone, beside, atol=1e-6)


# -- one model is enough from here on


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The cheapest kind, as version 3 of another name."""
    folder = tmp_path_factory.mktemp("bag")
    shards = toy.write_shards(folder / "shards")
    model = toy.write_model(folder / "model", shards, BagSpec(embedding_dim=8, hidden_dim=8))
    return export(shards, model, folder / "w", Config(model_name="mood", version=3))


def test_servable_names_the_numbered_folder_and_its_size(bag: Exported) -> None:
    shards, servable = bag.shards, bag.servable
    assert (servable.saved_model_dir, servable.version) == ("mood/3", 3)
    files = [file for file in bag.folder.rglob("*") if file.is_file()]
    assert bag.folder / "saved_model.pb" in files
    assert servable.size_bytes == sum(file.stat().st_size for file in files)
    assert servable.tokenizer_fingerprint == shards.tokenizer_fingerprint


def test_assets_hold_labels_and_vocabulary_by_id(bag: Exported) -> None:
    assets = bag.folder / "assets"
    assert sorted(file.name for file in assets.iterdir()) == ["labels.txt", "vocabulary.txt"]
    assert (assets / "labels.txt").read_text(encoding="utf-8").split("\n")[:-1] == [
        *toy.LABEL_NAMES
    ]
    vocabulary = (assets / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
    assert vocabulary[: len(toy.VOCABULARY)] == [*toy.VOCABULARY]


ELSEWHERE = """
import importlib.util, sys
from pathlib import Path
import numpy as np

for name in ("keras", "keras_hub", "tf_keras", "tpuline"):
    sys.modules[name] = None  # importing it now fails
import tensorflow as tf

# As a model server does: only the compiled ops. The Python package would import Keras by itself.
package = Path(importlib.util.find_spec("tensorflow_text").submodule_search_locations[0])
for library in sorted(package.glob("python/ops/_*.so")):
    tf.load_op_library(str(library))
loaded = tf.saved_model.load(sys.argv[1])
answer = loaded.signatures["serving_default"](text=tf.constant([b"great film", b"\\xff"]))
np.save(sys.argv[2], answer["probabilities"].numpy())
"""


def test_saved_model_answers_where_keras_and_tpuline_cannot_be_imported(
    bag: Exported, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", ELSEWHERE, str(bag.folder), str(tmp_path / "there.npy")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    here = bag.answer([b"great film", b"\xff"])["probabilities"].numpy()
    np.testing.assert_allclose(np.load(tmp_path / "there.npy"), here, atol=1e-6)


TWICE = """
import sys
from pathlib import Path
from tests.components.export import toy
from tpuline.components.export.stage import Config, Inputs, run
from tpuline.components.modeling import BertSpec

folder = Path(sys.argv[1])
shards = toy.write_shards(folder / "shards")
spec = BertSpec(num_layers=1, num_heads=2, hidden_dim=16, intermediate_dim=32)
model = toy.write_model(folder / "model", shards, spec)
run(Config(), Inputs(shards=shards, model=model), toy.context(folder / "work"))
"""


@pytest.mark.slow
def test_two_processes_that_do_the_same_write_the_same_bytes(
    checkout: Path, tmp_path: Path
) -> None:
    written = []
    for name in ("one", "two"):
        command = [sys.executable, "-c", TWICE, str(tmp_path / name)]
        subprocess.run(command, cwd=checkout, check=True, capture_output=True)
        files = sorted((tmp_path / name / "work").rglob("*"))
        written.append(
            {
                str(file.relative_to(tmp_path / name)): file.read_bytes()
                for file in files
                if file.is_file()
            }
        )
    assert len(written[0]) == 6
    assert written[0] == written[1]


def test_model_trained_in_bfloat16_is_exported_in_float32(bag: Exported, tmp_path: Path) -> None:
    with dtype_policy("mixed_bfloat16"):
        model = toy.write_model(tmp_path / "model", bag.shards, bag.model.model)
    second = export(bag.shards, model, tmp_path / "work")
    files = [file for pattern in ("variables/*", "assets/*") for file in bag.folder.glob(pattern)]
    assert len(files) == 4
    for file in files:
        assert (second.folder / file.relative_to(bag.folder)).read_bytes() == file.read_bytes()
    texts = [b"great film", b"dull plot"]
    np.testing.assert_array_equal(
        bag.answer(texts)["probabilities"], second.answer(texts)["probabilities"]
    )
    assert second.servable.parity == bag.servable.parity


def test_export_does_not_follow_the_default_dtype_of_keras(bag: Exported, tmp_path: Path) -> None:
    with dtype_policy("mixed_bfloat16"):
        second = export(bag.shards, bag.model, tmp_path / "work")
    assert second.servable.parity == bag.servable.parity


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_name": "a/b"}, "model_name: .*; received 'a/b'; .*"),
        ({"version": 0}, "version: .*; received 0; .*"),
        ({"parity_texts": 255}, "parity_texts: .* 256; received 255; .*"),
        ({"parity_tolerance": 0.5}, "parity_tolerance: .*; received 0.5; .*"),
        ({"parity_tolerance": 0.0}, "parity_tolerance: .*; received 0.0; .*"),
    ],
)
def test_config_refuses(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.compile(message)):
        replace(Config(), **changes)


@pytest.mark.parametrize("change", [{"task": "language_model"}, {"tokenizer": "bpe"}])
def test_shards_of_a_language_model_are_refused(
    change: dict[str, Any], exported: Exported, tmp_path: Path
) -> None:
    shards = replace(exported.shards, **change)
    with pytest.raises(ValueError, match=r"preprocess\.task: must be classification"):
        export(shards, exported.model, tmp_path / "work")
