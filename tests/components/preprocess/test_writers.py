"""Only as much of a text is tokenised as a row can hold, and nobody can tell."""

from pathlib import Path

import pytest
import tensorflow as tf

from tpuline.components import tokenizers
from tpuline.components.preprocess.sharding.spill import SpilledRow
from tpuline.components.preprocess.writers import CHARACTERS_A_TOKEN, head_of, tokenize_function
from tpuline.components.vocabulary import save_vocabulary

LENGTH = 16
TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##b", "\u4e2d", ".")
TEXTS = [
    "a b a",
    "a b " * 200,
    "\u200d " * 300 + "a b",  # words of which nothing is left
    "ab" * 40 + " a" * 300,
    "\u4e2d" * 300,
    "abbbbbbbbbbbb " * 60,
    "a" * 2000 + " b",
    "a. " * 8 + "x" * 400,
]


@pytest.mark.parametrize("texts", [TEXTS, *([text] for text in TEXTS)])
def test_rows_are_those_of_the_whole_text(tmp_path: Path, texts: list[str]) -> None:
    save_vocabulary(TOKENS, tmp_path / "vocabulary.txt")
    tokenizer = tokenizers.load(
        "wordpiece",
        tmp_path / "vocabulary.txt",
        lowercase=True,
        sequence_length=LENGTH,
        has_text_pair=False,
    )
    rows = [SpilledRow("x", text, None, text, None, "a.csv", 1) for text in texts]
    found = tokenize_function(tokenizer)(rows)
    whole = tokenizer.tokenize(tf.constant(texts))
    assert found.token_ids.tolist() == whole.token_ids.values.numpy().tolist()
    assert found.row_lengths.tolist() == whole.token_ids.row_lengths().numpy().tolist()
    assert found.truncated.tolist() == whole.truncated.numpy().tolist()


def test_head_ends_between_words_and_short_texts_stay_themselves() -> None:
    text = "words " * 100
    assert head_of(text, 10) == ("words " * 14).rstrip()
    assert len(head_of(text, 10)) >= 10 * CHARACTERS_A_TOKEN
    for short in ("word", "word " * 15, "x" * 1000):
        assert head_of(short, 10) is short
