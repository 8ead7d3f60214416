"""Several labels in one cell."""

from __future__ import annotations

import numpy as np

from tpuline.components.label_sets import cell_of, multi_hot, names_of


def test_a_cell_of_one_label_is_that_label() -> None:
    assert names_of("a|b", None) == ("a|b",)


def test_equal_sets_of_labels_are_equal_cells() -> None:
    assert cell_of(["b", "a", "b"], "|") == cell_of(("a", "b"), "|") == "a|b"
    assert names_of("a|b", "|") == ("a", "b")


def test_an_empty_cell_has_no_label() -> None:
    assert cell_of([], "|") == ""
    assert names_of("", "|") == ()


def test_label_ids_become_ones_in_their_places() -> None:
    hot = multi_hot([[], [0, 2]], 3)
    np.testing.assert_array_equal(hot, [[False, False, False], [True, False, True]])
    assert multi_hot([], 3).shape == (0, 3)
