"""Columns that give the label away."""

import csv
import gzip
import itertools
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tpuline.components.preprocess.leakage import (
    LeakingColumn,
    SampledRow,
    best_view,
    explain,
    gain,
    leaking_columns,
    merge_samples,
)


def sample_of(labels: list[str], **columns: list[str]) -> tuple[SampledRow, ...]:
    others = [
        tuple(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)
    ]
    return merge_samples([itertools.starmap(SampledRow, zip(labels, others, strict=True))])


def found(labels: list[str], cells: list[str]) -> LeakingColumn | None:
    """What is found in one column, beside one of random ids that makes every row different."""
    drawn = random.Random(1)
    ids = [f"{drawn.getrandbits(64):016x}" for _ in labels]
    leaks = leaking_columns(sample_of(labels, column=cells, row=ids))
    assert {leak.column for leak in leaks} <= {"column"}
    return leaks[0] if leaks else None


DRAWN = random.Random(2)
LABELS = DRAWN.choices(["bad", "fair", "good"], k=600)
RANK = {"bad": 0, "fair": 1, "good": 2}


def digits() -> str:
    return f"{DRAWN.getrandbits(30):09d}"


@pytest.mark.parametrize(
    ("cells", "how"),
    [
        ([label[0] for label in LABELS], "its value"),
        ([f"{digits()}/{label}/x{digits()}" for label in LABELS], "part 2 of it"),
        (
            [f"{digits()}{'-y' * (i % 9)}-{label}" for i, label in enumerate(LABELS)],
            "the last part of it",
        ),
        ([label + digits() for label in LABELS], "its first character"),
        ([f"xyz{label}{digits()}" for label in LABELS], "its first 4 characters"),
        ([digits() + digits()[: RANK[label] + 1] for label in LABELS], "its length"),
        ([digits()[:5] + "a 1"[RANK[label]] + digits() for label in LABELS], "its shape"),
        ([str(DRAWN.randint(1, 10**12) + RANK[la] * 10**12) for la in LABELS], "its number, cut"),
    ],
)
def test_column_is_found_by_what_of_it_tells_the_label(cells: list[str], how: str) -> None:
    leak = found(LABELS, cells)
    assert leak is not None and leak.how.startswith(how)
    assert leak.accuracy > 0.95
    assert leak.num_rows == 600


@pytest.mark.parametrize(
    "cells",
    [
        ["always"] * 600,
        [""] * 600,
        [digits() for _ in LABELS],
        [str(i) for i in range(600)],
        DRAWN.choices(["x", "y", "z"], k=600),
        [label if DRAWN.random() < 0.8 else "fair" for label in LABELS],
    ],
    ids=["constant", "empty", "random ids", "row numbers", "random classes", "right too seldom"],
)
def test_column_that_tells_little_is_not_found(cells: list[str]) -> None:
    assert found(LABELS, cells) is None


def test_many_labels_are_no_obstacle() -> None:
    labels = [f"intent {i % 77}" for i in range(3000)]
    leak = found(labels, [str(i % 77 * 7) for i in range(3000)])
    assert leak is not None and leak.accuracy == 1
    assert found(labels, DRAWN.choices("abc", k=3000)) is None


def test_row_numbers_of_sorted_rows_are_found() -> None:
    """They do tell the label of the rows between."""
    leak = found(sorted(LABELS), [str(i) for i in range(600)])
    assert leak is not None and leak.how.startswith("its number, cut at")


def test_measures_and_few_rows_and_one_label_give_no_finding() -> None:
    measures = [f"{DRAWN.random() * 5:.2f}" for _ in range(600)]
    assert found(measures, measures) is None
    assert found(LABELS[:49], LABELS[:49]) is None
    assert found(LABELS[:60], LABELS[:60]) is not None
    assert found(["same"] * 600, ["same"] * 600) is None
    assert leaking_columns(()) == ()


def test_ids_of_rows_that_stand_there_twice_are_not_found() -> None:
    ids = [digits() for _ in LABELS]
    assert leaking_columns(sample_of(LABELS * 2, id=ids * 2)) == ()


def test_equal_rows_all_count() -> None:
    """A million rows of four kinds: the few that break the rule stay few."""
    sample = [
        SampledRow(label, (("code", code),), num_rows)
        for label, code, num_rows in [
            ("0", "a", 495_000), ("0", "b", 5_000), ("1", "a", 5_000), ("1", "b", 495_000),
        ]
    ]  # fmt: skip
    (leak,) = leaking_columns(sample)
    assert leak.accuracy == pytest.approx(0.99)
    assert leak.num_rows == 1_000_000


def test_column_that_some_rows_lack_counts_as_empty_there() -> None:
    rows = [SampledRow("1", (("why", "x"),), 50), SampledRow("0", (("other", "x"),), 50)]
    assert [leak.column for leak in leaking_columns(rows)] == ["other", "why"]


def test_sample_is_the_same_however_rows_are_dealt_out() -> None:
    rows = [SampledRow(str(i % 2), (("id", str(i % 400)),)) for i in range(1000)]
    at_once = merge_samples([rows], most=100)
    assert len(at_once) == 100
    assert {row.num_rows for row in at_once} <= {2, 3}
    for seed in range(5):
        shuffled = rows.copy()
        random.Random(seed).shuffle(shuffled)
        parts = [shuffled[i : i + 90] for i in range(0, 1000, 90)]
        pruned = [merge_samples([part], most=100) for part in parts]
        halves = [merge_samples(pruned[:5], most=100), merge_samples(pruned[5:], most=100)]
        assert merge_samples(halves, most=100) == at_once


def test_findings_do_not_depend_on_the_order_of_rows() -> None:
    rows = list(sample_of(LABELS, why=[label + digits()[:1] for label in LABELS]))
    assert leaking_columns(rows) == leaking_columns(rows[::-1]) != ()


def test_warning_names_the_column_the_numbers_and_the_way_out() -> None:
    leak = LeakingColumn(
        column="rating", how="its value", accuracy=0.998, majority=0.5, num_rows=20_000
    )
    said = explain(leak)
    for part in ("'rating'", "its value", "99.8%", "20,000", "50.0%", "no column but the text"):
        assert part in said
    assert "preprocess.leakage.columns: off" in said


def test_rating_and_id_of_real_reviews_are_found_and_the_film_is_not(
    real_data: Callable[[str], Path],
) -> None:
    csv.field_size_limit(10_000_000)
    columns = ("id", "rating", "movie_id")
    path = real_data("imdb") / "train.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = [
            SampledRow(row["label"], tuple((column, row[column]) for column in columns))
            for row in csv.DictReader(file)
        ]
    sample = merge_samples([rows])
    leaks = {leak.column: leak for leak in leaking_columns(sample)}
    assert set(leaks) == {"id", "rating"}
    assert leaks["id"].how.startswith("part 2 of it") and leaks["id"].accuracy == 1
    assert leaks["rating"].how == "its value" and leaks["rating"].accuracy == 1
    film = best_view(sample, "movie_id")
    assert film is not None and 0.6 < gain(film) < 0.7
