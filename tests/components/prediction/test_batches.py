"""Rows of about one length are asked together, and each row once."""

from __future__ import annotations

import pytest

from tpuline.components.prediction import batches as module
from tpuline.components.prediction.batches import batches


def test_rows_of_one_length_stand_together() -> None:
    lengths = [9, 1, 5, 2, 8, 4]
    found = [[lengths[place] for place in batch] for batch in batches(lengths, 2)]
    assert found == [[1, 2], [4, 5], [8, 9]]


def test_every_row_is_asked_once() -> None:
    lengths = [row * 7 % 31 for row in range(100)]
    asked = [place for batch in batches(lengths, 8) for place in batch]
    assert sorted(asked) == list(range(100))


def test_batch_of_huge_rows_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CHARACTERS", 100)
    assert list(batches([60, 60, 60], 64)) == [[0, 1], [2]]


def test_no_rows_make_no_batch() -> None:
    assert list(batches([], 8)) == []
