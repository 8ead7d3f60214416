"""The tokenizer that preprocessing and the SavedModel share."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import BertWordPieceTokenizer

from tpuline.components.example_spec import SPECIAL_TOKENS
from tpuline.components.graph_tokenizer import WordpieceTokenizer, clean, normalize

VOCABULARY = (*SPECIAL_TOKENS, *"abcdefghijklmnopqrstuvwxyz.,!?'[]字", "hello", "##s", "##ing")
CLS, SEP, UNK = (VOCABULARY.index(token) for token in ("[CLS]", "[SEP]", "[UNK]"))

cleaned = tf.function(clean, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)


def clean_one(text: str | bytes) -> str:
    return cleaned(tf.constant([text])).numpy()[0].decode()


def tokenizer(
    length: int = 16, *, pair: bool = False, lowercase: bool = True
) -> WordpieceTokenizer:
    return WordpieceTokenizer(
        VOCABULARY, lowercase=lowercase, sequence_length=length, has_text_pair=pair
    )


def ids(text: str) -> list[int]:
    return [VOCABULARY.index(token) for token in text.split()]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("  two\t\n words\u00a0\u2003here ", "two words here"),
        ("bell\x07 nul\x00 c1\x85end", "bell nul c1 end"),
        ("Great.<br /><br />Really<BR>so", "Great. Really so"),
        ("<p class='x' id=y>Hi <b>you</b></p><!-- a\nnote -->!", "Hi you !"),
        ("<unk> <user> 5 < 6, a <b and c> d </3", "<unk> <user> 5 < 6, a <b and c> d </3"),
        ("e\u0301 &amp;", "é &amp;"),
        (b"caf\xe9 \xed\xa0\x80 ok", "caf\ufffd \ufffd\ufffd\ufffd ok"),
        ("", ""),
    ],
)
def test_clean_keeps_text_and_drops_the_rest(raw: str | bytes, expected: str) -> None:
    assert clean_one(raw) == expected


def test_clean_mends_only_the_invalid_rows_of_a_batch() -> None:
    assert cleaned(tf.constant([b"\xff", b"good \xc3\xa9"])).numpy().tolist() == [
        "\ufffd".encode(),
        "good é".encode(),
    ]


MARKUP = ("br", "<!--", "-->", "<b>", "<br />", "<a href=x>", "</i>", " x=y")
UNICODE = ("\u0338", "\u0301", "\u200b", "\u2028", "é", "ﬁ")
PIECES = st.sampled_from([*"<>/ab !-='\"\x00\n e", *MARKUP, *UNICODE])


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    st.lists(
        st.one_of(st.lists(PIECES, max_size=25).map("".join), st.text(), st.binary()),
        min_size=1,
        max_size=8,
    )
)
def test_clean_twice_is_clean_once(texts: list[str | bytes]) -> None:
    raw = [t.encode("utf-8", "surrogatepass") if isinstance(t, str) else t for t in texts]
    once = cleaned(tf.constant(raw))
    assert cleaned(once).numpy().tolist() == once.numpy().tolist()


def test_clean_leaves_a_tag_that_another_one_interrupts() -> None:
    """With the inner one taken out, the outer one would be a tag the second time."""
    assert clean_one("<a <b>href=x> y") == "<a <b> href=x> y"


def test_rows_start_and_end_with_the_special_tokens() -> None:
    rows = tokenizer().tokenize(tf.constant(["hello a", ""]))
    assert rows.token_ids.to_list() == [[CLS, *ids("hello a"), SEP], [CLS, SEP]]
    assert rows.truncated.numpy().tolist() == [False, False]


def test_long_rows_are_cut_and_say_so() -> None:
    rows = tokenizer(8).tokenize(tf.constant(["a b c d e f", "a b c d e f g"]))
    assert rows.token_ids.to_list()[0] == [CLS, *ids("a b c d e f"), SEP]
    assert rows.token_ids.to_list()[1] == rows.token_ids.to_list()[0]
    assert rows.truncated.numpy().tolist() == [False, True]


def test_pairs_get_segments() -> None:
    rows = tokenizer(pair=True).tokenize(tf.constant(["hello a"]), tf.constant(["b c"]))
    assert rows.token_ids.to_list() == [[CLS, *ids("hello a"), SEP, *ids("b c"), SEP]]
    assert rows.segment_ids.to_list() == [[0, 0, 0, 0, 1, 1, 1]]


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (9, 2, (6, 2)),
        (2, 9, (2, 6)),
        (9, 9, (4, 4)),
        (4, 4, (4, 4)),
        (0, 9, (0, 8)),
        (5, 5, (4, 4)),
    ],
)
def test_the_longer_text_of_a_pair_is_cut_first(
    first: int, second: int, kept: tuple[int, int]
) -> None:
    rows = tokenizer(11, pair=True).tokenize(
        tf.constant(["a " * first, "a"]), tf.constant(["b " * second, "b"])
    )
    a, b = (rows.token_ids.to_list()[0].count(VOCABULARY.index(letter)) for letter in "ab")
    assert (a, b) == kept
    assert rows.truncated.numpy().tolist() == [first + second > 8, False]
    assert rows.segment_ids.to_list()[0] == [0] * (a + 2) + [1] * (b + 1)


def test_special_tokens_cannot_be_written_into_a_text() -> None:
    rows = tokenizer(40).tokenize(tf.constant(["[CLS] [SEP] [PAD]"]))
    assert not {0, CLS, SEP} & set(rows.token_ids.to_list()[0][1:-1])


def test_call_cleans_then_tokenizes() -> None:
    raw, neat = tf.constant(["<b>Hello</b>\x00a"]), tf.constant(["Hello a"])
    assert tokenizer()(raw).token_ids.to_list() == tokenizer().tokenize(neat).token_ids.to_list()
    pair = tokenizer(pair=True)
    assert pair(raw, raw).token_ids.to_list() == pair.tokenize(neat, neat).token_ids.to_list()


def test_case_matters_only_when_it_is_kept() -> None:
    text = tf.constant(["Hello"])
    assert tokenizer().tokenize(text).token_ids.to_list() == [[CLS, *ids("hello"), SEP]]
    assert tokenizer(lowercase=False).tokenize(text).token_ids.to_list() == [[CLS, UNK, SEP]]


def test_no_rows_give_no_rows() -> None:
    nothing = tf.constant([], tf.string)
    assert tokenizer()(nothing).token_ids.to_list() == []
    assert tokenizer(pair=True)(nothing, nothing).segment_ids.to_list() == []


def test_a_very_long_text_and_a_very_long_word_pass() -> None:
    rows = tokenizer(64)(tf.constant(["hello " * 200_000, "a" * 1_000_000]))
    assert rows.token_ids.row_lengths().numpy().tolist() == [64, 3]
    assert rows.token_ids.to_list()[1] == [CLS, UNK, SEP]


NORMALIZED = {
    "Crème BRÛLÉE": "creme brulee",
    "wait… ½ ﬁ ＡＢ Straße ΟΔΟΣ": "wait… ½ ﬁ ａｂ straße οδος",  # no compatibility forms
    "ISTANBUL İ ı": "istanbul i ı",
    "zero\u200bwidth \ue000 \ufffd soft\u00adhyphen": "zerowidth   softhyphen",
    "plain": "plain",
    "": "",
}


def test_normalization_is_that_of_bert() -> None:
    texts = tf.constant(list(NORMALIZED))
    lower = [text.decode() for text in normalize(texts, lowercase=True).numpy()]
    assert lower == list(NORMALIZED.values())
    cased = [text.decode() for text in normalize(texts, lowercase=False).numpy()]
    assert cased[:2] == list(NORMALIZED)[:2]
    assert cased[3] == "zerowidth   softhyphen"


@pytest.mark.parametrize("locale", ["tr_TR.UTF-8", "C"])
def test_normalization_does_not_follow_the_locale(locale: str) -> None:
    program = (
        "import sys, tensorflow as tf\n"
        "from tpuline.components.graph_tokenizer import normalize\n"
        "print(ascii(normalize(tf.constant(['IÉ \u0130']), lowercase=True).numpy()[0].decode()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"LC_ALL": locale, "LANG": locale, "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout.decode().strip() == "'ie i'"


@pytest.mark.parametrize(
    "text", ["hello hellos, what's up?! ab字cd", "Héllo ÀB xyzing!", "日 字 no"]
)
def test_ids_agree_with_the_tokenizers_library(text: str) -> None:
    reference = BertWordPieceTokenizer(
        {token: i for i, token in enumerate(VOCABULARY)}, lowercase=True
    )
    expected = reference.encode(text).ids
    assert tokenizer(64)(tf.constant([text])).token_ids.to_list() == [expected]
