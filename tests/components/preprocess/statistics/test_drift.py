"""Distances between sets of rows, and what counts as a shift."""

from __future__ import annotations

import numpy as np
import pytest

from tpuline.components.preprocess.statistics.drift import (
    Bounds,
    Comparison,
    Line,
    chance_limit,
    compare,
    distance,
    length_bins,
)
from tpuline.components.preprocess.statistics.sums import Statistics

from .made_statistics import ALL, VOCABULARY, Row, statistics

NAMES = ("delivery", "money")
USUAL: list[Row] = [("the parcel is late .", 0), ("please refund my card", 1)] * 200


def compared(a: Statistics, b: Statistics, names_b: tuple[str, ...] = NAMES) -> Comparison:
    return compare(a, b, vocabulary=VOCABULARY, labels_a=NAMES, labels_b=names_b)


def line(comparison: Comparison, what: str) -> Line:
    return next(line for line in comparison.lines if line.what == what)


def shifted(comparison: Comparison) -> set[str]:
    return {line.what for line in comparison.lines if line.verdict == "shifted"}


def test_distance_runs_from_alike_to_nothing_in_common() -> None:
    assert distance([1, 2, 3], [10, 20, 30]) == 0
    assert distance([1, 0], [0, 7]) == 1
    # Half a bit of two: the divergence of (1, 0) and (1/2, 1/2) is 3/4 log2(4/3).
    assert distance([1, 0], [1, 1]) ** 2 == pytest.approx(0.75 * np.log2(4 / 3))
    assert distance([3, 5], [1, 1]) == distance([1, 1], [3, 5])


@pytest.mark.parametrize("num_categories", [2, 20, 3000])
@pytest.mark.parametrize("sizes", [(5000, 100), (1000, 1000)])
def test_samples_of_the_same_rows_seldom_exceed_chance(
    num_categories: int, sizes: tuple[int, int]
) -> None:
    dice = np.random.default_rng(20)
    shares = 1 / np.arange(1, num_categories + 1)
    shares /= shares.sum()
    found = []
    for _ in range(300):
        p, q = (dice.multinomial(size, shares) for size in sizes)
        found.append(distance(p, q) / chance_limit(p, q))
    assert np.mean(np.array(found) > 1) < 0.03
    assert np.mean(found) > 0.25  # and the limit is no more than some way above


def test_same_rows_are_no_shift() -> None:
    a = statistics(USUAL, shares=ALL)
    comparison = compared(a, statistics(USUAL[:100], shares=ALL))
    assert not comparison.shifted
    assert (comparison.rows_a, comparison.rows_b) == (400, 100)
    assert {line.verdict for line in comparison.lines} <= {"ok", "not comparable"}
    assert comparison.tokens == ()


def test_shift_of_labels_is_found_and_named() -> None:
    rows = [USUAL[0]] * 30 + [USUAL[1]] * 170
    comparison = compared(statistics(USUAL), statistics(rows))
    assert "labels" in shifted(comparison)
    assert line(comparison, "labels").note == "money 50.0% -> 85.0%"


def test_few_rows_of_one_label_are_no_shift() -> None:
    assert "labels" not in shifted(compared(statistics(USUAL), statistics(USUAL[1:2] * 3)))


def test_new_label_is_a_shift_however_rare_and_missing_ones_are_named() -> None:
    rows: list[Row] = [(text, 1) for text, _ in USUAL] + [("thanks", 0)]
    comparison = compared(statistics(USUAL), statistics(rows), ("praise", "money"))
    assert comparison.new_labels == ("praise",) and comparison.missing_labels == ("delivery",)
    assert line(comparison, "labels").note == "new: praise"
    assert "labels" in shifted(comparison)


def test_labels_are_compared_by_name_whatever_their_ids() -> None:
    swapped: list[Row] = [(text, 1 - label) for text, label in USUAL if label is not None]
    assert "labels" not in shifted(
        compared(statistics(USUAL), statistics(swapped), ("money", "delivery"))
    )


def test_longer_rows_are_a_shift() -> None:
    rows: list[Row] = [(f"{text} {text} thanks", label) for text, label in USUAL]
    comparison = compared(statistics(USUAL), statistics(rows))
    assert "token lengths" in shifted(comparison) and "labels" not in shifted(comparison)


def test_other_words_are_a_shift_and_the_tokens_are_named() -> None:
    rows: list[Row] = [(text.replace("parcel", "invoice"), label) for text, label in USUAL]
    comparison = compared(statistics(USUAL), statistics(rows))
    assert "tokens" in shifted(comparison)
    assert {token.token for token in comparison.tokens[:2]} == {"parcel", "invoice"}
    gone = next(token for token in comparison.tokens if token.token == "parcel")
    assert gone.share_a == pytest.approx(1 / 9, rel=0.02) and 0 < gone.share_b < 0.001


def test_unknown_tokens_are_a_shift_above_twice_the_rate() -> None:
    some: list[Row] = [("the xyz is late", 0), *USUAL[:100]]
    most: list[Row] = [("the xyz is late", 0)] * 10 + USUAL[:100]
    a = statistics(USUAL)
    assert "unknown tokens" not in shifted(compared(a, statistics(some)))
    found = line(compared(a, statistics(most)), "unknown tokens")
    assert found.verdict == "shifted" and found.bound == 0.01
    assert found.a == 0 and found.b == pytest.approx(10 / 490)


def test_another_script_is_a_shift() -> None:
    rows: list[Row] = [("москва", label) for _, label in USUAL]
    comparison = compared(statistics(USUAL), statistics(rows))
    assert "scripts" in shifted(comparison)
    assert line(comparison, "scripts").note == "Cyrillic 0.0% -> 100.0%"


def test_unlabelled_texts_are_compared_without_labels() -> None:
    rows: list[Row] = [(text, None) for text, _ in USUAL]
    comparison = compared(statistics(USUAL), statistics(rows, num_labels=0), ())
    assert line(comparison, "labels").verdict == "not comparable"
    assert not comparison.new_labels and not comparison.missing_labels
    assert line(comparison, "tokens").distance == 0


def test_nothing_at_all_is_not_comparable() -> None:
    comparison = compared(statistics(USUAL), Statistics())
    assert {line.verdict for line in comparison.lines} == {"not comparable"}
    assert comparison.tokens == ()


def test_bounds_can_be_set() -> None:
    rows = [USUAL[0]] * 30 + [USUAL[1]] * 170
    loose = compare(
        statistics(USUAL), statistics(rows), vocabulary=VOCABULARY, labels_a=NAMES,
        labels_b=NAMES, bounds=Bounds(labels=0.5),
    )  # fmt: skip
    assert line(loose, "labels").verdict == "ok"


def test_length_bins_hold_about_as_many_rows_each() -> None:
    counts = np.array([0, 0, 10, 10, 10, 10, 0, 40])
    bins = length_bins(counts, 4)
    assert bins[0] == 0 and bins == sorted(set(bins)) and bins[-1] <= 7
    assert np.add.reduceat(counts, bins).tolist() == [20, 20, 0, 40]
    assert length_bins(np.zeros(4, int), 4)[0] == 0
