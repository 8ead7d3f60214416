"""SentencePiece models and byte pairs of pretrained models."""

import json
from pathlib import Path

import pytest
import sentencepiece
from tokenizers import Tokenizer

from tpuline.components.byte_pair import load_tokenizer
from tpuline.components.preprocess.vocabulary import preset
from tpuline.components.preprocess.vocabulary.subwords import learn_byte_pairs, learn_sentencepiece
from tpuline.components.tokenizers import tokens

TEXTS = [f"the boat number {number} sails over the sea of {number * 7}" for number in range(300)]


@pytest.fixture(scope="module")
def model() -> bytes:
    return learn_sentencepiece(TEXTS, size=120, lowercase=False)


@pytest.fixture(scope="module")
def pairs() -> bytes:
    return learn_byte_pairs(TEXTS, size=600, min_frequency=2, lowercase=False)


@pytest.mark.parametrize(
    "name", ["spiece.model", "tokenizer.model", "assets/tokenizer/vocabulary.spm"]
)
def test_sentencepiece_model_is_found_in_a_folder(name: str, model: bytes, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(model)
    path = str(tmp_path / "copy.model")
    preset.check(str(tmp_path), lowercase=False, kind="sentencepiece")
    preset.save_file(str(tmp_path), path, lowercase=False, kind="sentencepiece")
    assert Path(path).read_bytes() == model
    preset.check(path, lowercase=False, kind="sentencepiece")
    assert preset.digest(path, kind="sentencepiece") == preset.digest(
        str(tmp_path), kind="sentencepiece"
    )


def test_case_must_be_that_of_the_model(model: bytes, pairs: bytes, tmp_path: Path) -> None:
    (tmp_path / "spiece.model").write_bytes(model)
    (tmp_path / "tokenizer.json").write_bytes(pairs)
    for kind in ("sentencepiece", "bpe"):
        with pytest.raises(ValueError, match=r"vocabulary\.lowercase: .* set it to false"):
            preset.check(str(tmp_path), lowercase=True, kind=kind)


def test_special_ids_of_other_models_are_found(tmp_path: Path) -> None:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_prefix=str(tmp_path / "tokenizer"),
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    from tpuline.components.sentencepiece_model import special_ids

    special = special_ids((tmp_path / "tokenizer.model").read_bytes())
    assert (special.unknown, special.start, special.end, special.pad) == (0, 1, 2, 0)
    assert special.mask is None
    preset.check(str(tmp_path), lowercase=False, kind="sentencepiece")


def test_model_that_is_renumbered_by_its_class_is_refused(model: bytes, tmp_path: Path) -> None:
    (tmp_path / "sentencepiece.model").write_bytes(model)
    config = {"tokenizer_class": "XLMRobertaTokenizer"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="numbers its pieces in another way"):
        preset.check(str(tmp_path), lowercase=False, kind="sentencepiece")


def test_gpt2_style_files_give_the_same_ids_as_the_tokenizer_they_come_from(
    pairs: bytes, tmp_path: Path
) -> None:
    Tokenizer.from_buffer(pairs).model.save(str(tmp_path))
    path = tmp_path / "made.json"
    preset.save_file(str(tmp_path), str(path), lowercase=False, kind="bpe")
    text = "The boat number 12 sails [SEP] naïvely"
    made, original = (load_tokenizer(content) for content in (path.read_bytes(), pairs))
    assert made.encode(text).ids == original.encode(text).ids
    assert len(tokens("bpe", path)) == original.get_vocab_size()


def test_what_holds_no_such_tokenizer_is_refused(model: bytes, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    (tmp_path / "garbage").write_bytes(b"\x00\xff")
    wordpiece = {"model": {"type": "WordPiece", "vocab": {"[PAD]": 0}}}
    (tmp_path / "wordpiece.json").write_text(json.dumps(wordpiece))
    for kind in ("sentencepiece", "bpe"):
        for name in ("nothing", "garbage", "wordpiece.json"):
            with pytest.raises(ValueError, match=r"vocabulary\.preset: must be a"):
                preset.check(str(tmp_path / name), lowercase=False, kind=kind)
        with pytest.raises(ValueError, match="does not exist"):
            preset.check("albert_base_en_uncased", lowercase=False, kind=kind)
