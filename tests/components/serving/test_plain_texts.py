"""Texts that go past the tokenizer's graph: the same ids, and nothing but plain ones."""

from __future__ import annotations

import builtins
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tpuline.components.example_spec import SPECIAL_TOKENS
from tpuline.components.graph_tokenizer import WordpieceTokenizer
from tpuline.components.serving.plain_texts import (
    FILE,
    PlainTokenizer,
    description,
    padded,
    plain_tokenizer,
)

ASCII = "".join(map(chr, range(128)))
VOCABULARY = (
    *SPECIAL_TOKENS,
    *(c for c in ASCII if c.isprintable() and c != " "),
    *(f"##{c}" for c in ASCII if c.isalnum()),
    *("the", "film", "great", "##ing", "don", "Film", "cls", "sep"),
)
LENGTH = 24


def made(folder: Path, *, lowercase: bool = True) -> PlainTokenizer:
    text = description(VOCABULARY, lowercase=lowercase, sequence_length=LENGTH)
    (folder / FILE).write_text(text, encoding="utf-8")
    return PlainTokenizer(folder / FILE)


def by_graph(texts: list[str], *, lowercase: bool = True) -> list[list[int]]:
    tokenizer = WordpieceTokenizer(
        VOCABULARY, lowercase=lowercase, sequence_length=LENGTH, has_text_pair=False
    )
    ids: list[list[int]] = tokenizer(tf.constant(texts, tf.string)).token_ids.to_list()
    return ids


def random_ascii(count: int) -> list[str]:
    drawn = random.Random(0)
    pieces = [
        *ASCII,
        "the ",
        "film",
        "Great ",
        "ing",
        " don't ",
        "[SEP]",
        "[CLS] ",
        "##ing",
        "\r\n",
    ]
    rows = (drawn.choices(pieces, k=drawn.randint(0, 30)) for _ in range(count))
    return ["".join(row) for row in rows]


@pytest.mark.parametrize("lowercase", [True, False])
def test_plain_texts_have_the_ids_that_the_graph_gives(tmp_path: Path, lowercase: bool) -> None:
    words = [f"{'a' * length} end" for length in (99, 100, 101)]
    texts = [*random_ascii(3000), *words, "", " ", "\x00", "a\x00b", "the " * 40, "[MASK] [PAD]"]
    rows = made(tmp_path, lowercase=lowercase).rows(texts)
    plain = [place for place, row in enumerate(rows) if row is not None]
    assert len(plain) > 2500
    expected = by_graph(texts, lowercase=lowercase)
    assert [rows[place] for place in plain] == [expected[place] for place in plain]


def test_text_may_come_as_bytes(tmp_path: Path) -> None:
    tokenizer = made(tmp_path)
    assert tokenizer.rows([b"Great film"]) == tokenizer.rows(["Great film"])


@pytest.mark.parametrize(
    "text", ["caf\u00e9", "a <br /> b", b"\xff", "a\u200bb", "caf\u00e9".encode(), "\u2028"]
)
def test_everything_else_is_left_to_the_graph(tmp_path: Path, text: str | bytes) -> None:
    assert made(tmp_path).rows(["plain", text, "plain"])[1] is None


def test_rows_are_padded_to_the_longest() -> None:
    features = padded([[1, 2, 3], np.array([4])])
    np.testing.assert_array_equal(features["token_ids"], [[1, 2, 3], [4, 0, 0]])
    np.testing.assert_array_equal(features["padding_mask"], [[1, 1, 1], [1, 0, 0]])
    assert {array.dtype for array in features.values()} == {np.dtype(np.int32)}
    assert padded([])["token_ids"].shape == (0, 1)


def test_folder_without_the_file_or_the_library_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plain_tokenizer(tmp_path) is None
    made(tmp_path)
    assert plain_tokenizer(tmp_path) is not None
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "tokenizers":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert plain_tokenizer(tmp_path) is None
