"""Columns: a user's own function, renamed labels, texts without labels, a sample of the others."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tpuline.components.reading.picking import is_sampled
from tpuline.components.reading.sources import (
    Reject,
    Row,
    Source,
    check,
    function_digest,
    list_files,
)

from .source_files import faults, read_all, texts, written

FUNCTIONS = '''
def both(row):
    """Title and body, as one text."""
    return {"text": row["title"] + ": " + row["body"], "label": row["stars"], "id": row["id"]}

def sentences(row):
    return [{"text": part, "label": row["stars"]} for part in row["body"].split(".") if part]

def only_first(row):
    return row if row["title"] == "first" else None

def picky(row):
    if row["title"] == "first":
        raise KeyError("no \\ud800 such thing " + "x" * 500)
    return {"text": 7} if row["title"] == "second" else ["text"]

def keep(row):
    return row

NO_FUNCTION = 3
'''
ROWS: list[dict[str, Any]] = [
    {"id": 1, "title": "first", "body": "One. Two", "stars": "5"},
    {"id": 2, "title": "second", "body": "Drei", "stars": "1"},
]


@pytest.fixture(autouse=True)
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of the working folder, as users have it beside their config."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    written(tmp_path, "own_functions.py", FUNCTIONS)
    yield tmp_path / "own_functions.py"
    sys.modules.pop("own_functions", None)


def files_of(folder: Path, rows: list[dict[str, Any]]) -> list[str]:
    """The same rows in every format that has columns."""
    table = pa.table({name: [row[name] for row in rows] for name in rows[0]})
    pq.write_table(table, folder / "a.parquet")
    with pa.ipc.new_stream(folder / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    lines = [list(rows[0]), *([str(cell) for cell in row.values()] for row in rows)]
    for name, separator in (("a.csv", ","), ("a.tsv", "\t")):
        written(folder, name, "".join(separator.join(line) + "\n" for line in lines))
    written(folder, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return ["a.parquet", "a.arrow", "a.csv", "a.tsv", "a.jsonl"]


def test_function_makes_the_columns_in_every_format(tmp_path: Path) -> None:
    for place in files_of(tmp_path, ROWS):
        rows = read_all(tmp_path, place, function="own_functions:both")
        assert texts(rows) == ["first: One. Two", "second: Drei"]
        assert [(row[4], row[5]) for row in rows] == [("5", (("id", "1"),)), ("1", (("id", "2"),))]


def test_function_may_make_several_rows_of_one_or_none(tmp_path: Path) -> None:
    for place in files_of(tmp_path, ROWS):
        rows = read_all(tmp_path, place, function="own_functions:sentences")
        assert texts(rows) == ["One", " Two", "Drei"]
        assert rows[0].row == rows[1].row < rows[2].row
        more = {"text_column": "body", "label_column": "stars"}
        rows = read_all(tmp_path, place, function="own_functions:only_first", **more)
        assert texts(rows) == ["One. Two"]
        assert [reason for _, reason in faults(rows)] == ["dropped_by_function"]


def test_function_that_fails_costs_its_row_only(tmp_path: Path) -> None:
    rows = [*ROWS, {"id": 3, "title": "third", "body": "", "stars": ""}]
    for place in files_of(tmp_path, rows):
        rejects = read_all(tmp_path, place, function="own_functions:picky")
        assert [r.reason for r in rejects if isinstance(r, Reject)] == [
            "function_failed",
            "missing_column",
            "function_failed",
        ]
        first, second, third = (row[3] for row in rejects)
        assert first.startswith(r"KeyError: 'no \ud800 such thing")
        assert (second, third) == (
            "there is no column 'label'",
            "TypeError: must give a dict, a list of dicts or None; received str",
        )


def test_detail_of_a_failure_can_be_written(tmp_path: Path) -> None:
    written(tmp_path, "own_functions.py", "def bad(row): raise ValueError('\\ud800')")
    place = written(tmp_path, "a.csv", "text,label\na,1\n")
    (row,) = read_all(tmp_path, place, function="own_functions:bad")
    assert row[3] == "ValueError: ?"


def test_function_gets_the_text_of_files_without_columns(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    written(tmp_path / "good", "a.txt", "one\ntwo\n")
    keep = {"function": "own_functions:keep", "label_from": "folder"}
    rows = read_all(tmp_path, "good/a.txt", format="lines", **keep)
    assert [(row[2], row[4]) for row in rows] == [("one", "good"), ("two", "good")]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("own_functions:missing", "AttributeError: .*missing"),
        ("no_such_module_here:f", "ModuleNotFoundError: .*; correct the path"),
        ("own_functions:NO_FUNCTION", "must be a function; received .* which is a int"),
        ("broken:f", "ZeroDivisionError"),
    ],
)
def test_check_refuses_what_is_no_function(tmp_path: Path, path: str, words: str) -> None:
    written(tmp_path, "broken.py", "1 / 0")
    place = written(tmp_path, "a.csv", "text,label\na,1\n")
    with pytest.raises(ValueError, match=rf"^preprocess\.source\.function: .*{words}"):
        check(Source(train=place, function=path), tmp_path)


def test_check_leaves_columns_to_the_function(tmp_path: Path) -> None:
    for place in files_of(tmp_path, ROWS):
        check(Source(train=place, function="own_functions:both"), tmp_path)


def test_digest_of_a_function_changes_with_its_file(functions: Path) -> None:
    source = Source(train="a.csv", function="own_functions:both")
    first = function_digest(source)
    assert first == function_digest(source)
    functions.write_text(FUNCTIONS.replace(": ", " - "))
    assert function_digest(source) != first
    assert function_digest(Source(train="a.csv")) is None


def test_label_map_renames_cells_and_keeps_the_others(tmp_path: Path) -> None:
    rows = [{"text": "x", "label": label} for label in (1, 2, 3)]
    for place in files_of(tmp_path, rows):
        read = read_all(tmp_path, place, label_map={"1": "World", "2": "Sports"})
        assert [row[4] for row in read] == ["World", "Sports", "3"]


def test_rows_may_go_without_labels(tmp_path: Path) -> None:
    rows = [{"text": "x", "note": "n"}]
    for place in files_of(tmp_path, rows):
        source = Source(train=place, label_column=None)
        check(source, tmp_path)
        assert read_all(tmp_path, place, label_column=None) == [
            Row(place, 1 if place[2] in "paj" else 2, "x", None, "", (("note", "n"),))
        ]


def test_missing_cell_is_rejected_by_its_kind(tmp_path: Path) -> None:
    rows = [
        {"text": None, "pair": "b", "label": 1},
        {"text": "a", "pair": None, "label": 1},
        {"text": "a", "pair": "b", "label": None},
    ]
    for place in ("a.parquet", "a.arrow", "a.jsonl"):
        files_of(tmp_path, rows)
        read = read_all(tmp_path, place, text_pair_column="pair")
        assert [(row[2], row[3]) for row in read] == [
            ("empty_text", "the text is null"),
            ("empty_text", "the text pair is null"),
            ("missing_label", "the label is empty"),
        ]
    written(tmp_path, "a.jsonl", '{"text": NaN, "label": 1}\n')
    assert faults(read_all(tmp_path, "a.jsonl")) == [(1, "empty_text")]


def test_other_columns_come_with_a_fixed_sample_of_the_rows(tmp_path: Path) -> None:
    rows = [{"text": "x", "label": 1, "id": i, "long": "é" * 300} for i in range(10_000)]
    counts = set()
    for place in files_of(tmp_path, rows):
        read = [row for row in read_all(tmp_path, place) if isinstance(row, Row)]
        assert len(read) == 10_000
        sampled = [row for row in read if row.others is not None]
        assert [row.row for row in sampled] == [r.row for r in read if is_sampled(r.row)]
        first = place[2] in "paj"
        assert all(
            row.others == (("id", str(row.row - (1 if first else 2))), ("long", "é" * 100))
            for row in sampled
        )
        counts.add(len(sampled))
    assert all(1500 < count < 1630 for count in counts)  # the first 1000, then one in 16


def test_other_cells_that_are_nested_are_left_out_and_odd_ones_can_be_written(
    tmp_path: Path,
) -> None:
    cells = r'"a": [1], "b": {"c": 1}, "d": null, "e": "\ud800", "f": true, "g": 1.5'
    place = written(tmp_path, "a.jsonl", '{"text": "x", "label": 1, ' + cells + "}\n")
    (row,) = read_all(tmp_path, place)
    assert row[5] == (("d", ""), ("e", "?"), ("f", "true"), ("g", "1.5"))
    place = written(tmp_path, "a.csv", b"text,label,caf\xe9\nx,1,a\rb\xe9\n")
    (row,) = read_all(tmp_path, place)
    assert row[5] == (("caf?", "a\rb?"),)
    table = {"text": ["x"], "label": [1], "a": [[1]], "b": [{"c": 1}], "d": ["y"], "e": [b"\xff"]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    (row,) = read_all(tmp_path, "a.parquet")
    assert row[5] == (("d", "y"), ("e", "?"))


def test_long_columns_of_parquet_are_no_others(tmp_path: Path) -> None:
    words = ["".join(chr(97 + (i * j) % 26) for j in range(1500)) for i in range(50)]
    table = pa.table({"text": ["x"] * 50, "label": [1] * 50, "page": words, "id": range(50)})
    pq.write_table(table, tmp_path / "a.parquet", use_dictionary=False)
    assert read_all(tmp_path, "a.parquet")[0][5] == (("id", "0"),)


def test_file_stays_small_on_its_way_to_the_workers(tmp_path: Path) -> None:
    import pickle

    written(tmp_path, "a.csv", "text,label\na,1\n")
    (file,) = list_files(Source(train="a.csv"), "train", tmp_path)
    assert pickle.loads(pickle.dumps(file)) == file
    assert len(pickle.dumps(file)) < 400 + len(file.path)
