"""Accuracy on parts of the rows."""

from __future__ import annotations

import numpy as np
import pytest

from tpuline.components.evaluate.slices import slices, wilson, worst


def test_rows_are_parted_by_length_and_by_label() -> None:
    lengths = np.arange(400)
    labels = np.arange(400) % 2
    right = (lengths < 300) | (labels == 1)  # long ones of label 0 are wrong
    parts = slices(right, labels, lengths, ("no", "yes"))
    assert [part.column for part in parts] == ["characters"] * 4 + ["label"] * 2
    assert sum(part.num_rows for part in parts[:4]) == 400
    assert [part.value for part in parts[4:]] == ["no", "yes"]
    assert [part.accuracy.value for part in parts[:3]] == [1.0, 1.0, 1.0]
    lowest = worst(parts)
    assert lowest and lowest.column == "characters"
    assert lowest.accuracy.value == pytest.approx(0.5, abs=0.01)
    assert lowest.value.endswith(" to 399")


def test_lengths_of_one_kind_are_one_part() -> None:
    parts = slices(np.ones(50, bool), np.zeros(50, int), np.full(50, 7), ("only",))
    assert [part.value for part in parts] == ["7 to 7", "only"]


def test_parts_of_few_rows_are_left_out() -> None:
    labels = np.array([0] * 100 + [1] * 29)
    parts = slices(np.ones(129, bool), labels, np.arange(129), ("many", "few"))
    assert "few" not in {part.value for part in parts}
    assert worst(()) is None


def test_interval_of_a_share_stays_on_the_scale() -> None:
    sure = wilson(30, 30)
    assert (sure.value, sure.high) == (1.0, 1.0) and 0.8 < sure.low < 1.0
    half = wilson(50, 100)
    assert (half.low, half.high) == pytest.approx((0.404, 0.596), abs=0.001)
