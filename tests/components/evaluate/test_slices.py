"""Accuracy on parts of the rows."""

from __future__ import annotations

import numpy as np
import pytest

from tpuline.components.contracts import Slice
from tpuline.components.evaluate.slices import Slices, slices


def made(
    right: np.ndarray,
    labels: np.ndarray,
    lengths: np.ndarray,
    names: tuple[str, ...],
    values: dict[str, list[str]] | None = None,
    **settings: int,
) -> tuple[Slice, ...]:
    parts, _ = slices(
        right, labels, lengths, names, values=values or {}, settings=Slices(**settings)
    )
    return parts


def worst(parts: tuple[Slice, ...]) -> Slice:
    return min(parts, key=lambda part: part.accuracy.value)


def test_rows_are_parted_by_length_and_by_label() -> None:
    lengths = np.arange(400)
    labels = np.arange(400) % 2
    right = (lengths < 300) | (labels == 1)  # long ones of label 0 are wrong
    parts = made(right, labels, lengths, ("no", "yes"))
    assert [part.column for part in parts] == ["characters"] * 4 + ["label"] * 2
    assert sum(part.num_rows for part in parts[:4]) == 400
    assert [part.value for part in parts[4:]] == ["no", "yes"]
    assert [part.accuracy.value for part in parts[:3]] == [1.0, 1.0, 1.0]
    lowest = worst(parts)
    assert lowest.column == "characters"
    assert lowest.accuracy.value == pytest.approx(0.5, abs=0.01)
    assert lowest.value.endswith(" to 399")


def test_lengths_of_one_kind_are_one_part() -> None:
    parts = made(np.ones(50, bool), np.zeros(50, int), np.full(50, 7), ("only",))
    assert [part.value for part in parts] == ["7 to 7", "only"]


def test_parts_of_few_rows_are_left_out() -> None:
    labels = np.array([0] * 100 + [1] * 29)
    parts = made(np.ones(129, bool), labels, np.arange(129), ("many", "few"))
    assert "few" not in {part.value for part in parts}


def test_rows_are_parted_by_the_values_of_a_column_the_rarest_together() -> None:
    shops = ["b"] * 60 + [""] * 50 + ["a"] * 50 + ["c"] * 20 + ["d"] * 20
    right = np.arange(200) >= 60  # all of b are wrong
    nothing = np.zeros(200, int)
    parts = made(right, nothing, nothing, ("x",), {"shop": shops}, max_values=3)
    found = [(one.value, one.num_rows, one.accuracy.value) for one in parts[2:]]
    assert {one.column for one in parts[2:]} == {"shop"}
    assert found == [
        ("b", 60, 0.0),
        ("(empty)", 50, 1.0),
        ("a", 50, 1.0),
        ("2 other values", 40, 1.0),
    ]
    lowest = worst(parts)
    assert (lowest.column, lowest.value) == ("shop", "b")


def test_least_number_of_rows_is_a_setting_and_what_is_left_out_is_counted() -> None:
    nothing = np.zeros(50, int)
    values = {"shop": ["a"] * 41 + ["b"] * 9}
    parts, num_small = slices(
        nothing == 0, nothing, nothing, ("x",), values=values, settings=Slices(min_rows=10)
    )
    assert [one.value for one in parts if one.column == "shop"] == ["a"]
    assert num_small == 1


@pytest.mark.parametrize("field", ["min_rows", "max_values"])
def test_settings_that_cannot_be_meant_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: must be at least 1; received 0; "):
        Slices(**{field: 0})
