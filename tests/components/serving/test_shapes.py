"""Batches that a compiled model is compiled for."""

from __future__ import annotations

import bisect
import itertools

import pytest

from tpuline.components.serving.shapes import ROWS, row_counts, shapes


@pytest.mark.parametrize(
    ("length", "widths"),
    [
        (64, (8, 12, 16, 24, 32, 48, 64)),
        (50, (8, 12, 16, 24, 32, 48, 50)),
        (8, (8,)),
        (5, (5,)),
    ],
)
def test_widths_grow_by_half_up_to_the_longest_row(length: int, widths: tuple[int, ...]) -> None:
    assert shapes(length).widths == widths


def test_no_step_is_larger_than_half_and_all_are_counted() -> None:
    made = shapes(512)
    assert all(b <= 1.5 * a for a, b in itertools.pairwise(made.widths))
    assert len(made) == len(made.rows) * len(made.widths) == 7 * 13


@pytest.mark.parametrize("most", [1, 5, 8, 48, 64, 100, 200])
def test_row_counts_have_one_for_each_number_that_rows_are_padded_to(most: int) -> None:
    def padded(rows: int) -> int:
        last = ROWS[-1]
        return -(-rows // last) * last if rows > last else ROWS[bisect.bisect_left(ROWS, rows)]

    counts = row_counts(most)
    assert max(counts) == most and [*counts] == sorted(counts)
    wanted = {padded(rows) for rows in range(1, most + 1)}
    assert {padded(rows) for rows in counts} == wanted and len(counts) == len(wanted)
