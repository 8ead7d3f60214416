"""Texts files: all rows, in order, and samples of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tpuline.components import texts
from tpuline.components.contracts import ShardSet

from .evaluate.conftest import opinions, write_shards


def read(shards: ShardSet, max_rows: int | None = None) -> list[tuple[str, int]]:
    rows = []
    for window in texts.windows(shards, "test", max_rows=max_rows):
        assert window.start == len(rows)
        rows += zip(window.texts, window.labels, strict=True)
    return rows


def test_windows_give_every_row_in_order_across_files(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(texts, "WINDOW_ROWS", 7)
    rows = opinions(50, seed=0)
    shards = write_shards(tmp_path, {"test": rows}, num_shards=3)
    expected = [(text, label) for text, _, label in rows]
    assert read(shards) == expected
    assert read(shards, max_rows=20) == expected[:20]
    assert read(shards, max_rows=14) == expected[:14]
    assert read(shards, max_rows=1000) == expected


@pytest.mark.parametrize("claimed", [49, 51])
def test_windows_refuse_files_that_do_not_hold_the_promised_rows(tmp_path: Path, claimed: int):
    shards = write_shards(tmp_path, {"test": opinions(50, seed=0)})
    lying = replace(shards, splits=(replace(shards.split("test"), num_examples=claimed),))
    with pytest.raises(ValueError, match=f"^shards.test: the texts files must hold {claimed} rows"):
        read(lying)


def test_sampled_rows_are_different_seeded_and_of_the_split(tmp_path: Path):
    rows = {"train": opinions(400, seed=1), "test": opinions(120, seed=2)}
    corpus = write_shards(tmp_path, rows)
    known = {text for text, _ in read(corpus)}
    sample = texts.sample_rows(corpus, "test", num_rows=30, seed=3)
    assert len(set(sample)) == 30
    assert {text for (text,) in sample} < known
    assert texts.sample_rows(corpus, "test", num_rows=30, seed=3) == sample
    assert texts.sample_rows(corpus, "test", num_rows=30, seed=4) != sample
    assert len(texts.sample_rows(corpus, "test", num_rows=1000, seed=3)) == 120


def test_sampled_rows_come_with_their_labels(tmp_path: Path):
    rows = opinions(60, seed=5)
    corpus = write_shards(tmp_path, {"test": rows})
    sample = texts.sample(corpus, "test", num_rows=25, seed=3)
    assert sample.rows() == texts.sample_rows(corpus, "test", num_rows=25, seed=3)
    labels = {text: label for text, _, label in rows}
    assert sample.labels == [labels[text] for text in sample.texts] and len(sample) == 25


def test_sampled_rows_carry_their_pair(tmp_path: Path):
    shards = write_shards(tmp_path, {"test": [("a", "b", 0), ("c", "d", 1)]})
    assert set(texts.sample_rows(shards, "test", num_rows=9, seed=0)) == {("a", "b"), ("c", "d")}
