"""Models of preset folders, KerasHub's and Hugging Face's: weights, tokenizer, levers refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.components.pretrained import (
    hugging_face_folder,
    hugging_face_tensors,
    keras_hub_folder,
    minilm,
    rows,
)
from tpuline.components.modeling import BertSpec, build, without_preset
from tpuline.components.preprocess.vocabulary import preset as vocabulary_preset
from tpuline.components.vocabulary import fingerprint

ROWS = rows([2, 7, 9, 3], [2, 3])


def made(spec: BertSpec, **changes: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    sizes = {"vocabulary_size": 30, "sequence_length": 12, "num_labels": 3} | changes
    return build(spec, has_text_pair=False, **sizes)


@pytest.fixture(scope="module", params=[keras_hub_folder, hugging_face_folder])
def preset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    make: Callable[[Path], str] = request.param
    return make(tmp_path_factory.mktemp("preset"))


@pytest.fixture(scope="module")
def hugging_face(tmp_path_factory: pytest.TempPathFactory) -> str:
    return hugging_face_folder(tmp_path_factory.mktemp("preset"), prefix="bert.")


def test_preset_brings_its_weights(preset: str) -> None:
    import keras_hub

    model = made(BertSpec(preset=preset))
    original = keras_hub.models.BertBackbone.from_preset(preset)
    for mine, theirs in zip(model.get_layer("backbone").weights, original.weights, strict=True):
        assert np.array_equal(mine.numpy(), theirs.numpy())


def test_tensors_of_hugging_face_are_where_they_belong(hugging_face: str) -> None:
    backbone: Any = made(BertSpec(preset=hugging_face)).get_layer("backbone")
    tensors = hugging_face_tensors()
    block = backbone.transformer_layers[0]
    kernel = tensors["encoder.layer.0.intermediate.dense.weight"]
    query = tensors["encoder.layer.0.attention.self.query.weight"]
    ids = tensors["embeddings.word_embeddings.weight"]
    assert np.array_equal(backbone.token_embedding.embeddings.numpy(), ids)
    assert np.array_equal(block._feedforward_intermediate_dense.kernel.numpy(), kernel.T)
    mine = block._self_attention_layer.query_dense.kernel.numpy()
    assert np.array_equal(mine.reshape(mine.shape[0], -1), query.T)


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_model_of_a_preset_is_rebuilt_without_it(pooling: Any, preset: str, tmp_path: Path) -> None:
    trained = BertSpec(preset=preset, pooling=pooling)
    model = made(trained, sequence_length=12)
    spec = without_preset(trained, model)
    assert isinstance(spec, BertSpec) and spec.preset is None
    model.save_weights(tmp_path / "m.weights.h5")
    again = made(spec, sequence_length=12)
    again.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(model(ROWS), again(ROWS))


def test_dropout_of_the_spec_is_that_of_the_pretrained_blocks(preset: str) -> None:
    backbone: Any = made(BertSpec(preset=preset, dropout=0.3)).get_layer("backbone")
    assert backbone.transformer_layers[0].dropout == 0.3


def test_preset_that_is_too_short_is_refused(preset: str) -> None:
    with pytest.raises(ValueError, match=r"sequence_length: must be at most 16.*received 17"):
        made(BertSpec(preset=preset), sequence_length=17)


def test_preset_of_another_size_of_vocabulary_is_refused(preset: str) -> None:
    with pytest.raises(ValueError, match=r"31 tokens; received one of 30"):
        made(BertSpec(preset=preset), vocabulary_size=31)


def test_tokenizer_of_the_data_must_be_that_of_the_preset(preset: str) -> None:
    tokens = vocabulary_preset.load(preset, lowercase=True)  # what preprocess would make of it
    swapped = (*tokens[:-2], tokens[-1], tokens[-2])
    mine = fingerprint(tokens, lowercase=True, has_text_pair=False)
    made(BertSpec(preset=preset), tokenizer_fingerprint=mine)
    for others, lowercase in ((tokens, False), (swapped, True)):
        foreign = fingerprint(others, lowercase=lowercase, has_text_pair=False)
        with pytest.raises(ValueError, match=r"^train\.model\.preset: .* other tokens or another"):
            made(BertSpec(preset=preset), tokenizer_fingerprint=foreign)


def test_name_gives_weights_and_tokenizer_as_keras_hub_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the files already where a download leaves them, so that no hub is needed."""
    name, folder = "bert_tiny_en_uncased", keras_hub_folder(tmp_path / "folder")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    fill_cache(name, Path(folder))
    tokens = vocabulary_preset.load(name, lowercase=True)
    mine = fingerprint(tokens, lowercase=True, has_text_pair=False)
    named = made(BertSpec(preset=name), tokenizer_fingerprint=mine)
    assert np.array_equal(named(ROWS), made(BertSpec(preset=folder))(ROWS))
    with pytest.raises(ValueError, match="other tokens or another case"):
        made(BertSpec(preset=name), tokenizer_fingerprint="of other data")
    with pytest.raises(ValueError, match=r"vocabulary\.lowercase: must be True"):
        vocabulary_preset.load(name, lowercase=False)


def fill_cache(name: str, folder: Path) -> None:
    import keras_hub
    from kagglehub.cache import Cache
    from kagglehub.handle import parse_model_handle

    address = keras_hub.models.BertBackbone.presets[name]["kaggle_handle"]
    handle, cache = parse_model_handle(address.removeprefix("kaggle://")), Cache()
    for path in (path for path in folder.rglob("*") if path.is_file()):
        part = str(path.relative_to(folder))
        target = Path(cache.get_path(handle, part))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        cache.mark_as_complete(handle, part)


def test_unknown_name_is_a_clear_error() -> None:
    with pytest.raises(
        ValueError, match=r"^train\.model\.preset: .*'no_such_preset'.* correct the"
    ):
        made(BertSpec(preset="no_such_preset"))


def test_tokenizer_does_not_matter_without_a_preset() -> None:
    spec = BertSpec(num_layers=1, num_heads=1, hidden_dim=4, intermediate_dim=4)
    made(spec, tokenizer_fingerprint="of whatever")


def test_damaged_folder_is_refused_before_keras_reads_it(tmp_path: Path) -> None:
    folder = Path(hugging_face_folder(tmp_path))
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-1])
    with pytest.raises(ValueError, match=r"model\.safetensors must be whole"):
        made(BertSpec(preset=str(folder)))


def test_weights_of_other_shapes_are_a_clear_error(tmp_path: Path) -> None:
    folder = Path(hugging_face_folder(tmp_path))
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(
        config.replace('"intermediate_size": 12', '"intermediate_size": 13')
    )
    with pytest.raises(ValueError, match=r"^train\.model\.preset: .* could not be loaded"):
        made(BertSpec(preset=str(folder)))


def test_real_weights_know_what_sentences_mean() -> None:
    import keras_hub

    folder = minilm()
    vocabulary = vocabulary_preset.load(folder, lowercase=True)
    mine = fingerprint(vocabulary, lowercase=True, has_text_pair=False)
    model = made(
        BertSpec(preset=folder),
        vocabulary_size=len(vocabulary),
        sequence_length=512,
        tokenizer_fingerprint=mine,
    )
    assert model.count_params() > 22_000_000
    # Ours computes the last block for the first token only.
    backbone: Any = keras_hub.models.BertBackbone.from_preset(folder)
    backbone.set_weights(model.get_layer("backbone").get_weights())
    tokenizer = keras_hub.models.BertTokenizer(vocabulary=list(vocabulary), lowercase=True)
    texts = ["The cat sits on the mat.", "A kitten is lying on a rug.", "Stocks fell on Friday."]
    ids = [[101, *np.asarray(tokenizer(text)).tolist(), 102] for text in texts]
    features = rows(*ids, width=16)
    zeros = np.zeros_like(features["token_ids"])
    states = np.asarray(backbone({**features, "segment_ids": zeros})["sequence_output"])
    mask = features["padding_mask"][..., None]
    means = (states * mask).sum(1) / mask.sum(1)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    likeness = means @ means.T
    assert likeness[0, 1] > 0.5 and max(likeness[0, 2], likeness[1, 2]) < 0.25
