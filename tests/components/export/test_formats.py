"""One model in every format: the same answers as Keras, from the same raw texts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.xla import needs_xla_for_cpus
from tpuline.components import compiling
from tpuline.components.contracts import Format, Servable, ShardSet, TrainedModel
from tpuline.components.export.stage import Config, Inputs, run
from tpuline.components.messy import MESSY_TEXTS
from tpuline.components.modeling import BagSpec, BertSpec, GruSpec
from tpuline.components.serving import answering

from . import toy

FORMATS: tuple[Format, ...] = ("saved_model", "xla", "onnx", "litert", "openvino")
BERT = BertSpec(num_layers=1, num_heads=2, hidden_dim=16, intermediate_dim=32, pooling="mean")


@dataclass(frozen=True)
class Made:
    shards: ShardSet
    model: TrainedModel
    folder: Path

    def export(self, format: Format) -> Servable:
        workdir = self.folder / f"{format}-{len(list(self.folder.iterdir()))}"
        model = replace(self.model, serve_as=format)
        return run(Config(), Inputs(shards=self.shards, model=model), toy.context(workdir))

    def served(self, servable: Servable) -> answering.Answering:
        return answering.load(Path(servable.uri) / servable.saved_model_dir)


OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("bert pair", "bag", "gru")]


@pytest.fixture(scope="module", params=["bert", *OTHERS])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    spec = {"bag": BagSpec(), "gru": GruSpec(embedding_dim=8, units=8)}.get(request.param, BERT)
    folder = tmp_path_factory.mktemp("made")
    shards = toy.write_shards(folder / "shards", has_text_pair="pair" in request.param)
    return Made(shards, toy.write_model(folder / "model", shards, spec), folder)


XLA = pytest.param("xla", marks=needs_xla_for_cpus)


@pytest.mark.parametrize(
    "format", [FORMATS[0], *(pytest.param(one, marks=pytest.mark.long) for one in FORMATS[1:])]
)
def test_format_answers_as_the_keras_model_does(made: Made, format: Format) -> None:
    if format == "litert" and made.model.model.type == "gru":
        with pytest.raises(ValueError, match=r"^serve_as: litert must be able to .* failed \("):
            made.export(format)
        return
    servable = made.export(format)
    parity = servable.parity
    assert parity.passed and parity.token_mismatches == 0
    assert parity.max_abs_diff < (1e-5 if format == "saved_model" else 1e-4)
    assert servable.format == format
    texts = [text.decode("utf-8", "replace") for text in MESSY_TEXTS[:5]]
    columns = [texts, texts[::-1]] if made.shards.has_text_pair else [texts]
    answers = made.served(servable).texts(columns)
    assert len(made.served(servable).inputs) == len(columns)
    best = answers["probabilities"].argmax(axis=1)
    assert [name.decode() for name in answers["label"]] == [toy.LABEL_NAMES[i] for i in best]
    np.testing.assert_array_equal(answers["score"], answers["probabilities"].max(axis=1))


@pytest.mark.long
def test_batches_of_any_size_are_answered_alike(made: Made) -> None:
    """Compiled code is for few shapes; rows and columns that fill them up must not matter."""
    served = made.served(made.export("xla"))
    texts = [f"great film {'plot ' * (n % 9)}" for n in range(70)]  # beyond the largest batch
    columns = [texts, texts] if made.shards.has_text_pair else [texts]
    whole = served.texts(columns)["probabilities"]
    assert whole.shape == (70, 3)
    for size in (0, 1, 3):
        part = served.texts([column[:size] for column in columns])["probabilities"]
        np.testing.assert_allclose(part, whole[:size], atol=1e-5)


@pytest.mark.parametrize("format", ["saved_model", XLA])
def test_answers_are_those_of_the_signature_itself(made: Made, format: Format) -> None:
    """It is called without what Python does around a call."""
    served = made.served(made.export(format))
    assert isinstance(served, answering.SavedModel)
    columns = [["great film", "", "dull"]] * (2 if made.shards.has_text_pair else 1)
    signature = served.model.signatures["serving_default"]
    itself = signature(
        **{name: tf.constant(column) for name, column in zip(served.inputs, columns, strict=True)}
    )
    answers = served.texts(columns)
    assert answers.keys() == itself.keys()
    for name, value in itself.items():
        np.testing.assert_array_equal(answers[name], value.numpy())
    with pytest.raises(ValueError, match=r"^inputs: must be .*; received texts$"):
        served._ask("serving_default", {"texts": columns[0]})


@pytest.mark.long
def test_plain_texts_are_answered_alike_past_the_graph_and_through_it(made: Made) -> None:
    servable = made.export("onnx")
    served = made.served(servable)
    texts = ["great film", "caf\u00e9 <br /> dull", "", "what a plot", "\u00fcber"]
    columns = [texts, texts[::-1]] if made.shards.has_text_pair else [texts]
    together = served.texts(columns)["probabilities"]
    file = Path(servable.uri) / servable.saved_model_dir / "tokenizer.json"
    assert file.is_file() != made.shards.has_text_pair
    file.unlink(missing_ok=True)
    through = made.served(servable)
    np.testing.assert_array_equal(served.token_ids(columns), through.token_ids(columns))
    np.testing.assert_allclose(through.texts(columns)["probabilities"], together, atol=1e-6)


@pytest.mark.parametrize(("format", "extra"), [("onnx", "onnx"), ("openvino", "openvino")])
def test_missing_runtime_is_told_with_its_extra(
    made: Made, format: Format, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import builtins

    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] in ("tf2onnx", "openvino"):
            raise ImportError(f"No module named {name!r}")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=rf"^serve_as: {format} needs .*'tpuline\[{extra}\]'"):
        made.export(format)


def test_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must hold one of saved_model\.pb, model\.onnx"):
        answering.load(tmp_path)


def test_xla_is_refused_where_tensorflow_compiles_for_tpus_only(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "compiles_for_cpus", lambda: False)
    with pytest.raises(ValueError, match=r"^serve_as xla: needs .* leave the variant out"):
        made.export("xla")
