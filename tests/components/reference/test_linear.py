"""Baselines: what is reached without a neural network."""

from __future__ import annotations

import csv
import gzip
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tpuline.components.contracts import ShardSet
from tpuline.components.reference import linear
from tpuline.components.reference.linear import majority_accuracy

from .conftest import Recorder, Row, write_shards


def linear_accuracy(
    shards: ShardSet, split: str, *, max_train_rows: int, seed: int, log: Recorder
) -> float:
    model = linear.fitted(shards, max_train_rows=max_train_rows, seed=seed, log=log)
    return linear.judged(model, shards, split, log)[0]


def test_majority_is_that_of_the_train_split(tmp_path: Path):
    train: list[Row] = [("a", None, 0), ("b", None, 1), ("c", None, 1)]
    test: list[Row] = [("d", None, 0), ("e", None, 0), ("f", None, 0), ("g", None, 1)]
    shards = write_shards(tmp_path, {"train": train, "test": test})
    assert majority_accuracy(shards.split("train"), shards.split("test")) == 0.25


def test_linear_reference_learns_what_words_tell(corpus: ShardSet, log: Recorder):
    majority = majority_accuracy(corpus.split("train"), corpus.split("test"))
    accuracy = linear_accuracy(corpus, "test", max_train_rows=1000, seed=0, log=log)
    assert accuracy == pytest.approx(114 / 120)  # six rows are labelled wrongly
    assert majority < 0.75
    assert log.tasks == {"linear reference, test": 1.0}
    assert linear_accuracy(corpus, "test", max_train_rows=1000, seed=0, log=log) == accuracy


def test_linear_reference_reads_both_texts_of_a_pair(tmp_path: Path, log: Recorder):
    # `red` is right in the first text and wrong in the second: joined texts could not tell.
    def rows(num: int) -> list[Row]:
        return [
            (f"red {n}", f"blue {n}", 1) if n % 2 else (f"blue {n}", f"red {n}", 0)
            for n in range(num)
        ]

    shards = write_shards(tmp_path, {"train": rows(60), "test": rows(20)})
    assert linear_accuracy(shards, "test", max_train_rows=100, seed=0, log=log) == 1.0


def test_linear_reference_says_when_it_learns_from_a_part(corpus: ShardSet, log: Recorder):
    linear_accuracy(corpus, "test", max_train_rows=50, seed=0, log=log)
    assert log.infos == [
        "the linear reference learns from 50 of 400 train rows (reference.linear_rows)"
    ]


def test_linear_reference_answers_the_only_label_it_saw(tmp_path: Path, log: Recorder):
    train: list[Row] = [("a", None, 1), ("b", None, 1)]
    test: list[Row] = [("c", None, 1), ("d", None, 0)]
    shards = write_shards(tmp_path, {"train": train, "test": test})
    assert linear_accuracy(shards, "test", max_train_rows=9, seed=0, log=log) == 0.5
    assert "one label only" in log.warnings[0]


def test_linear_reference_takes_texts_without_words(tmp_path: Path, log: Recorder):
    rows: list[Row] = [("👍", None, 1), ("👎 !", None, 0)] * 4
    shards = write_shards(tmp_path, {"train": rows, "test": rows})
    assert linear_accuracy(shards, "test", max_train_rows=9, seed=0, log=log) == 1.0


def test_linear_reference_reaches_the_known_accuracy_on_sst2(
    real_data: Callable[[str], Path], tmp_path: Path, log: Recorder
):
    def read(name: str) -> list[Row]:
        with (real_data("sst2") / name).open(encoding="utf-8") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            return [(row["sentence"], None, int(row["label"])) for row in rows]

    shards = write_shards(tmp_path, {"train": read("train.tsv"), "test": read("dev.tsv")})
    accuracy = linear_accuracy(shards, "test", max_train_rows=100_000, seed=0, log=log)
    assert accuracy == pytest.approx(0.828, abs=0.01)
    assert log.warnings == []


@pytest.mark.slow
def test_linear_reference_reaches_the_known_accuracy_on_imdb_within_a_minute(
    real_data: Callable[[str], Path], tmp_path: Path, log: Recorder
):
    def read(name: str) -> list[Row]:
        with gzip.open(real_data("imdb") / name, "rt", encoding="utf-8", newline="") as file:
            return [(row["text"], None, int(row["label"])) for row in csv.DictReader(file)]

    shards = write_shards(tmp_path, {"train": read("train.csv.gz"), "test": read("test.csv.gz")})
    started = time.process_time()
    accuracy = linear_accuracy(shards, "test", max_train_rows=100_000, seed=0, log=log)
    assert accuracy == pytest.approx(0.906, abs=0.01)
    assert time.process_time() - started < 60
