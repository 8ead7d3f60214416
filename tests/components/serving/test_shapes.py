"""Batches that a compiled model is compiled for."""

from __future__ import annotations

import itertools

import pytest

from tpuline.components.serving.shapes import shapes


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
