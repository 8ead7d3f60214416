"""Tokenizers of every type, as all stages load them."""

from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tpuline.components.byte_pair import load_tokenizer
from tpuline.components.graph_tokenizer import TextTokenizer
from tpuline.components.preprocess.vocabulary.config import FILE_NAMES, Vocabulary
from tpuline.components.preprocess.vocabulary.learning import learn_file
from tpuline.components.sentencepiece_model import load_processor
from tpuline.components.tokenizers import load, tokens
from tpuline.components.vocabulary import TokenizerType, file_fingerprint, find_special_ids

TEXTS = [f"the boat number {number} sails over the sea of {number * 7}" for number in range(300)]
CLS, SEP = 2, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vocabulary file of each type."""
    folder = tmp_path_factory.mktemp("vocabularies")
    for kind, name in FILE_NAMES.items():
        learn_file(Vocabulary(type=kind, size=520), [TEXTS], str(folder / name))
    return folder


def loaded(
    folder: Path, kind: TokenizerType, *, length: int = 16, pair: bool = False
) -> TextTokenizer:
    return load(
        kind, folder / FILE_NAMES[kind], lowercase=True, sequence_length=length, has_text_pair=pair
    )


@pytest.mark.parametrize("kind", FILE_NAMES)
def test_rows_of_every_type_are_made_alike(folder: Path, kind: TokenizerType) -> None:
    tokenizer = loaded(folder, kind, length=10, pair=True)
    rows = tokenizer(tf.constant(["<b>The boat</b>", ""]), tf.constant(["the sea " * 20, "boat"]))
    for ids, segments in zip(rows.token_ids.to_list(), rows.segment_ids.to_list(), strict=True):
        assert (ids[0], ids[-1], ids.count(SEP)) == (CLS, SEP, 2)
        first_end = ids.index(SEP)
        assert segments == [0] * (first_end + 1) + [1] * (len(ids) - first_end - 1)
    assert rows.truncated.numpy().tolist() == [True, False]
    assert len(rows.token_ids.to_list()[0]) == 10
    size = len(tokens(kind, folder / FILE_NAMES[kind]))
    assert max(max(ids) for ids in rows.token_ids.to_list()) < size


@pytest.mark.parametrize("kind", FILE_NAMES)
def test_pieces_are_all_tokens_of_the_text_alone(folder: Path, kind: TokenizerType) -> None:
    tokenizer = loaded(folder, kind, length=8)
    pieces = tokenizer.pieces(tf.constant(["the sea " * 40 + "[SEP] [CLS]", ""]))
    assert pieces.dtype == tf.int32
    assert pieces.row_lengths().numpy()[0] > 80
    assert pieces.row_lengths().numpy()[1] == 0
    assert not {0, CLS, SEP} & set(pieces.to_list()[0])
    assert tokenizer.pieces(tf.constant([], tf.string)).to_list() == []


@pytest.mark.parametrize("kind", ["wordpiece", "sentencepiece"])
def test_graph_gives_what_the_tokenizer_gives_outside(folder: Path, kind: TokenizerType) -> None:
    tokenizer = loaded(folder, kind)
    compiled = tf.function(tokenizer, input_signature=[tf.TensorSpec([None], tf.string)])
    texts = tf.constant([b"The boat\xff <br> sails", "ŠEA 🛶"])
    assert tokenizer.in_graph
    assert compiled(texts).token_ids.to_list() == tokenizer(texts).token_ids.to_list()


def test_byte_pairs_say_that_they_are_no_ops(folder: Path) -> None:
    assert not loaded(folder, "bpe").in_graph


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=8))
def test_pieces_are_those_of_the_libraries(folder: Path, texts: list[str]) -> None:
    cleaned = loaded(folder, "bpe").clean(tf.constant(texts, tf.string))
    words = [text.decode() for text in cleaned.numpy()]
    processor = load_processor((folder / FILE_NAMES["sentencepiece"]).read_bytes())
    assert loaded(folder, "sentencepiece").pieces(cleaned).to_list() == processor.encode(words)
    library = load_tokenizer((folder / FILE_NAMES["bpe"]).read_bytes())
    expected = [encoding.ids for encoding in library.encode_batch(words)]
    assert loaded(folder, "bpe").pieces(cleaned).to_list() == expected


def test_vocabulary_without_a_start_gives_rows_without_one(folder: Path) -> None:
    tokenizer = loaded(folder, "sentencepiece", length=6, pair=True)
    tokenizer.special_ids = find_special_ids([("<pad>", 0), ("</s>", SEP)])
    rows = tokenizer(tf.constant(["the boat sails the sea"]), tf.constant(["the"]))
    ids = rows.token_ids.to_list()[0]
    assert len(ids) == 6
    assert ids[0] != CLS
    assert rows.segment_ids.to_list()[0] == [0] * (ids.index(SEP) + 1) + [1] * (5 - ids.index(SEP))


def test_special_ids_are_told_by_their_usual_spellings() -> None:
    gpt2 = find_special_ids([("!", 0), ("<|endoftext|>", 50_256)])
    assert (gpt2.pad, gpt2.end, gpt2.start, gpt2.unknown) == (0, 50_256, None, None)
    roberta = find_special_ids([("<s>", 0), ("<pad>", 1), ("</s>", 2), ("<unk>", 3), ("<mask>", 9)])
    assert (roberta.pad, roberta.end, roberta.start, roberta.mask) == (1, 2, 0, 9)
    with pytest.raises(ValueError, match="must hold a token that ends a text"):
        find_special_ids([("a", 0)])


def test_fingerprint_covers_the_type_and_the_file(folder: Path) -> None:
    prints = {
        file_fingerprint(kind, folder / FILE_NAMES[kind], lowercase=True, has_text_pair=pair)
        for kind in FILE_NAMES
        for pair in (True, False)
    }
    assert len(prints) == 6
    model = folder / FILE_NAMES["sentencepiece"]
    as_bpe = file_fingerprint("bpe", model, lowercase=True, has_text_pair=False)
    assert as_bpe not in prints
