"""Vocabularies of pretrained models."""

import json
from pathlib import Path

import pytest

from tpuline.components.example_spec import SPECIAL_TOKENS
from tpuline.components.preprocess.vocabulary import preset
from tpuline.components.vocabulary import save_vocabulary

TOKENS = (*SPECIAL_TOKENS, "a", "##b")


def keras_hub_folder(folder: Path, tokens: tuple[str, ...] = TOKENS) -> str:
    (folder / "assets" / "tokenizer").mkdir(parents=True)
    save_vocabulary(tokens, folder / "assets" / "tokenizer" / "vocabulary.txt")
    (folder / "tokenizer.json").write_text(json.dumps({"config": {"lowercase": True}}))
    return str(folder)


def test_keras_hub_folder_is_read(tmp_path: Path) -> None:
    assert preset.load(keras_hub_folder(tmp_path), lowercase=True) == TOKENS


def test_hugging_face_folder_is_read_with_or_without_vocab_txt(tmp_path: Path) -> None:
    ids = {token: i for i, token in enumerate(TOKENS)}
    content = {"model": {"type": "WordPiece", "vocab": ids}, "normalizer": {"lowercase": False}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert preset.load(str(tmp_path), lowercase=False) == TOKENS
    save_vocabulary((*TOKENS, "c"), tmp_path / "vocab.txt")
    assert preset.load(str(tmp_path), lowercase=False) == (*TOKENS, "c")


def test_case_must_be_that_of_the_preset(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"vocabulary\.lowercase: .* set it to true"):
        preset.check(keras_hub_folder(tmp_path), lowercase=False)


@pytest.mark.parametrize("tokens", [TOKENS[1:], (*TOKENS[1:], "[PAD]"), ("[PAD]", "a")])
def test_vocabulary_must_be_of_a_bert(tmp_path: Path, tokens: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"vocabulary\.preset: .* choose a BERT preset"):
        preset.load(keras_hub_folder(tmp_path, tokens), lowercase=True)


def test_folder_without_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"vocab\.txt"):
        preset.check(str(tmp_path), lowercase=True)


def test_missing_folder_is_not_taken_for_a_name() -> None:
    with pytest.raises(ValueError, match="does not exist"):
        preset.check("./nowhere", lowercase=True)


def test_digest_is_of_the_vocabulary_only(tmp_path: Path) -> None:
    one, two = keras_hub_folder(tmp_path / "one"), keras_hub_folder(tmp_path / "two")
    assert preset.digest(one) == preset.digest(two)
    assert preset.digest(one) != preset.digest(keras_hub_folder(tmp_path / "x", (*TOKENS, "c")))
    assert preset.digest("bert_small_en_uncased") == "bert_small_en_uncased"


@pytest.mark.network
def test_named_preset_is_downloaded() -> None:
    assert len(preset.load("bert_tiny_en_uncased", lowercase=True)) == 30_522
