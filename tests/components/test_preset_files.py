"""Preset folders that cannot be used are refused from their heads, each with what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.components.pretrained import (
    POSITIONS,
    TOKENS,
    hugging_face_folder,
    keras_hub_folder,
    minilm,
)
from tpuline.components.preset_files import check_length, check_preset
from tpuline.components.vocabulary import save_vocabulary
from tpuline.pipeline import config
from tpuline.pipeline.errors import ConfigError


@pytest.fixture
def hugging_face(tmp_path: Path) -> Path:
    return Path(hugging_face_folder(tmp_path / "hf"))


@pytest.fixture
def keras_hub(tmp_path: Path) -> Path:
    return Path(keras_hub_folder(tmp_path / "hub"))


@pytest.mark.parametrize("layout", ["hugging_face", "keras_hub"])
def test_rows_longer_than_the_positions_are_refused_from_the_folder_alone(
    layout: str, request: pytest.FixtureRequest
) -> None:
    preset = str(request.getfixturevalue(layout))
    check_length(preset, POSITIONS)
    with pytest.raises(
        ValueError, match=r"sequence_length: must be at most 16.*received 17; lower"
    ):
        check_length(preset, POSITIONS + 1)
    check_length("bert_small_en_uncased", 100_000)  # a name: what it is of is told in training


def test_whole_config_with_too_long_rows_is_refused_before_anything_runs(
    hugging_face: Path,
) -> None:
    path = Path(__file__).resolve().parents[2] / "configs" / "demo.yaml"
    loaded = config.load(
        path,
        [
            f"preprocess.vocabulary={{preset: {hugging_face}}}",
            f"train.model={{type: bert, preset: {hugging_face}}}",
            "train.buckets=[]",
            "preprocess.sequence_length=17",
        ],
    )
    with pytest.raises(ConfigError, match=r"sequence_length: must be at most 16"):
        config.check(loaded)


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def cut(name: str, keep: float) -> Callable[[Path], None]:
    """Keeps a share of the file, as a broken download does."""

    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * keep)])

    return change


def write(name: str, content: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text(content)

    return change


def change_json(name: str, **changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps(content))

    return change


def fewer_tokens(folder: Path) -> None:
    save_vocabulary(TOKENS[:-1], folder / "vocab.txt")


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 90868376\n"
BROKEN_HUGGING_FACE = {
    "no config": (remove("config.json"), r"with config\.json, .* copy the missing file"),
    "no weights": (
        remove("model.safetensors"),
        r"with model\.safetensors, which holds the weights",
    ),
    "no vocabulary": (remove("vocab.txt"), r"folder with .*vocab\.txt.*copy the missing file"),
    "cut weights": (cut("model.safetensors", 0.9), r"model\.safetensors must be whole.* bytes of "),
    "cut head": (cut("model.safetensors", 0.01), r"model\.safetensors must be whole"),
    "empty weights": (cut("model.safetensors", 0), r"no safetensors file, 0 bytes"),
    "git lfs pointer": (write("model.safetensors", POINTER), r"git lfs pull"),
    "cut config": (cut("config.json", 0.5), r"config\.json must be whole.*no JSON"),
    "config is a list": (write("config.json", "[]"), r"config\.json must be whole.*JSON of a list"),
    "config of nothing": (
        write("config.json", "{}"),
        r"neither a registered_name nor a model_type",
    ),
    "cut tokenizer": (write("tokenizer_config.json", "{"), r"tokenizer_config\.json must be whole"),
    "another model": (change_json("config.json", model_type="roberta"), r"received roberta"),
    "another activation": (change_json("config.json", hidden_act="relu"), r"received relu"),
    "no size": (change_json("config.json", hidden_size=None), r"received None for hidden_size"),
    "more layers": (change_json("config.json", num_hidden_layers=2), r"encoder\.layer\.1\.output"),
    "other rows": (change_json("config.json", vocab_size=31), r"vocab_size 31 and an embedding of"),
    "cut vocabulary": (fewer_tokens, r"each of the 30 rows.*received 29 tokens"),
}
BROKEN_KERAS_HUB = {
    "no weights": (remove("model.weights.h5"), r"with model\.weights\.h5, which holds the weights"),
    "cut weights": (cut("model.weights.h5", 0.9), r"model\.weights\.h5 must be whole.*truncated"),
    "no vocabulary": (remove("assets/tokenizer/vocabulary.txt"), r"vocabulary\.txt"),
    "cut tokenizer": (cut("tokenizer.json", 0.5), r"tokenizer\.json must be whole"),
    "another model": (change_json("config.json", class_name="GPT2Backbone"), "a BERT preset"),
    "no sizes": (change_json("config.json", config={}), r"received None for vocabulary_size"),
}


@pytest.mark.parametrize("broken", BROKEN_HUGGING_FACE)
def test_broken_folder_of_hugging_face_is_refused(broken: str, hugging_face: Path) -> None:
    check_preset(str(hugging_face))
    change, message = BROKEN_HUGGING_FACE[broken]
    change(hugging_face)
    with pytest.raises(ValueError, match=r"^train\.model\.preset: .*") as caught:
        check_preset(str(hugging_face))
    assert caught.match(message)
    assert caught.match(str(hugging_face))


@pytest.mark.parametrize("broken", BROKEN_KERAS_HUB)
def test_broken_folder_of_keras_hub_is_refused(broken: str, keras_hub: Path) -> None:
    check_preset(str(keras_hub))
    change, message = BROKEN_KERAS_HUB[broken]
    change(keras_hub)
    with pytest.raises(ValueError, match=r"^train\.model\.preset: .*") as caught:
        check_preset(str(keras_hub))
    assert caught.match(message)


def test_weights_in_several_files_must_all_be_there(hugging_face: Path) -> None:
    (hugging_face / "model.safetensors").rename(hugging_face / "model-1.safetensors")
    parts = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (hugging_face / "model.safetensors.index.json").write_text(json.dumps(parts))
    with pytest.raises(ValueError, match=r"with model-2\.safetensors, which"):
        check_preset(str(hugging_face))
    parts["weight_map"].pop("b")
    (hugging_face / "model.safetensors.index.json").write_text(json.dumps(parts))
    check_preset(str(hugging_face))


def test_names_in_front_of_tensors_do_not_matter(tmp_path: Path) -> None:
    check_preset(hugging_face_folder(tmp_path, prefix="bert."))


def test_name_of_a_preset_is_left_to_keras_hub() -> None:
    check_preset("bert_small_en_uncased")


def test_real_weights_are_fine_and_looked_at_without_keras() -> None:
    program = (
        "import sys\n"
        "from tpuline.components.preset_files import check_preset\n"
        "check_preset(sys.argv[1])\n"
        "assert not {'keras', 'keras_hub', 'tensorflow'} & {m.split('.')[0] for m in sys.modules}\n"
    )
    subprocess.run([sys.executable, "-c", program, minilm()], check=True)
