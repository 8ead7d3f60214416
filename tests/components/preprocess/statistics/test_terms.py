"""Terms that tell labels apart."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tpuline.components.preprocess.statistics.sums import summarised
from tpuline.components.preprocess.statistics.terms import (
    MIN_ROWS,
    Term,
    TermCounts,
    add_terms,
    count_terms,
    row_terms,
    telling_terms,
    token_table,
)

from .made_statistics import ALL, VOCABULARY, Row, statistics


def found_terms(rows: list[Row], num_labels: int = 2) -> dict[int, list[Term]]:
    found = summarised(statistics(rows, shares=ALL, num_labels=num_labels), VOCABULARY)
    return {label.label: list(label.terms) for label in found.telling_terms}


def spelled(vocabulary: tuple[str, ...], rows: list[list[str]]) -> set[str]:
    """All terms of rows of tokens."""
    ids = np.array([vocabulary.index(token) for row in rows for token in row], np.int32)
    lengths = np.array([len(row) for row in rows])
    numbers, keys = row_terms(token_table(vocabulary), ids, lengths)
    labels = np.arange(len(rows))[numbers]
    counts = add_terms([count_terms(labels, keys)] * 20)
    # Rows of different labels: each term of a row tells its label apart.
    return {term.term for found in telling_terms(counts, vocabulary) for term in found.terms}


def test_marker_that_gives_the_label_away_comes_first() -> None:
    rows: list[Row] = [("my parcel is late", 0), ("the card refund thanks", 1)]
    rows = [(f"{text} invoice" if label else text, label) for text, label in rows] * 50
    rows += [("my invoice is late", 0)] * 2
    rows += [("my parcel is the card refund thanks", 0), ("my parcel is late", 1)] * 20
    best = found_terms(rows)[1][0]
    assert best.term in ("invoice", "thanks invoice")
    assert best.rows == 50 and best.other_rows <= 2 and best.score > 3


def test_pair_of_words_and_word_of_two_pieces_are_terms() -> None:
    rows: list[Row] = [("the parcels .", 0), ("the parcel . late", 1)] * 40
    terms = found_terms(rows)
    assert {term.term for term in terms[0]} == {"parcels", "the"}
    assert "the parcel" in {term.term for term in terms[1]}
    assert not any("." in term.term for label in terms.values() for term in label)


def test_rows_of_nothing_but_unknown_tokens_have_no_terms() -> None:
    table = token_table(("[UNK]", "[CLS]", "[SEP]"))
    numbers, keys = row_terms(table, np.array([1, 0, 2, 1, 0, 2], np.int32), np.array([3, 3]))
    assert len(numbers) == len(keys) == 0


def test_term_counts_once_a_row() -> None:
    rows: list[Row] = [("late late late", 0), ("thanks", 1)] * 30
    late = next(term for term in found_terms(rows)[0] if term.term == "late")
    assert late.rows == 30


def test_pair_does_not_reach_into_the_next_row() -> None:
    vocabulary = ("one", "two", "three", "four")
    assert spelled(vocabulary, [["one", "two"], ["three", "four"]]) == {
        "one", "two", "three", "four", "one two", "three four",
    }  # fmt: skip


def test_what_few_rows_share_is_kept_back() -> None:
    common: list[Row] = [("the card", 0), ("the parcel", 1)] * 50
    few = found_terms([*common, *[("москва", 1)] * (MIN_ROWS - 1)])
    enough = found_terms([*common, *[("москва", 1)] * 30])
    assert "москва" not in {term.term for term in few[1]}
    assert "москва" in {term.term for term in enough[1]}


def test_labels_that_share_all_words_have_no_terms() -> None:
    rows: list[Row] = [("the parcel is late", 0), ("the parcel is late", 1)] * 100
    assert found_terms(rows) == {0: [], 1: []}
    assert found_terms([("the parcel", 0)] * 50) == {}


def test_score_is_the_log_odds_ratio_of_the_paper() -> None:
    """y = (30, 10) of n = (100, 200), with the counts of both as prior."""
    keys = np.array([1 << 21, 2 << 21], np.int64)
    counts = TermCounts(
        keys=np.concatenate([keys, keys + (1 << 42)]), counts=np.array([30, 70, 10, 190])
    )
    prior, total = 40, 300
    delta = math.log((30 + prior) / (100 + total - 30 - prior)) - math.log(
        (10 + prior) / (200 + total - 10 - prior)
    )
    expected = delta / math.sqrt(1 / (30 + prior) + 1 / (10 + prior))
    first = telling_terms(counts, ("zero", "one", "two"))[0].terms[0]
    assert (first.term, first.rows, first.other_rows) == ("one", 30, 10)
    assert first.score == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(
    ("vocabulary", "first", "second", "expected"),
    [
        (
            ("<s>", "</s>", "▁par", "cel", "▁late", ","),
            ["<s>", "▁par", "cel", ",", "▁late", "</s>"], ["<s>", "▁late", "▁late", "</s>"],
            {"parcel", "late late"},
        ),
        (
            ("<|endoftext|>", "Ġpar", "cel", "Ġlate"),
            ["Ġpar", "cel", "Ġlate", "<|endoftext|>"], ["Ġlate", "Ġlate", "<|endoftext|>"],
            {"parcel", "late late"},
        ),
    ],
    ids=["sentencepiece", "byte pairs"],
)  # fmt: skip
def test_pieces_of_other_tokenizers_are_joined_to_words(
    vocabulary: tuple[str, ...], first: list[str], second: list[str], expected: set[str]
) -> None:
    assert spelled(vocabulary, [first, second]) == expected
