"""Columns that are kept beside the texts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tpuline.components.preprocess import stage
from tpuline.components.preprocess.privacy import Privacy
from tpuline.components.reading.source import Source
from tpuline.components.reading.sources import Row

from ..reading.source_files import faults, read_all, written
from .stage_runs import config, contents, numbered_rows, preprocess, texts, write_csv

SHOP = Source(train="train.csv", keep_columns=("shop", "by"))


def write_rows(folder: Path, count: int = 120) -> dict[str, tuple[str, str]]:
    """train.csv; the two other cells of each row by its text."""
    cells = {
        text: (f"shop {n // 40}", "" if n % 5 else f"user{n}@example.org")
        for n, (text, _) in enumerate(numbered_rows(count))
    }
    rows = [(text, label, *cells[text]) for text, label in numbered_rows(count)]
    write_csv(folder / "train.csv", rows, "text label shop by")
    return cells


def test_kept_cells_stand_beside_their_texts_and_nothing_else_changes(tmp_path: Path) -> None:
    cells = write_rows(tmp_path)
    kept = preprocess(tmp_path, tmp_path / "kept", config(source=SHOP))
    plain = preprocess(tmp_path, tmp_path / "plain", config())
    assert (kept.kept_columns, plain.kept_columns) == (("shop", "by"), ())
    for split in ("train", "validation", "test"):
        rows = texts(kept, split)
        assert [(row.pop("kept.shop"), row.pop("kept.by")) for row in rows] == [
            cells[row["text"]] for row in rows
        ]
        assert rows == texts(plain, split)
    ours, theirs = contents(tmp_path / "kept"), contents(tmp_path / "plain")
    same = [name for name in ours if ours[name] == theirs[name]]
    assert {name.rpartition(".")[2] for name in ours if name not in same} <= {"parquet", "json"}


@pytest.mark.slow
def test_processes_keep_the_same_bytes(tmp_path: Path) -> None:
    write_rows(tmp_path)
    alone = config(source=SHOP)
    preprocess(tmp_path, tmp_path / "alone", alone)
    preprocess(tmp_path, tmp_path / "two", replace(alone, runner="processes", num_workers=2))
    assert contents(tmp_path / "alone") == contents(tmp_path / "two")


def test_kept_cells_are_redacted_like_texts(tmp_path: Path) -> None:
    write_rows(tmp_path)
    shards = preprocess(
        tmp_path, tmp_path / "out", config(source=SHOP, privacy=Privacy(redact=("email",)))
    )
    assert {row["kept.by"] for row in texts(shards, "train")} == {"", "[EMAIL]"}


def test_cache_key_knows_of_kept_columns_only_where_there_are_any(tmp_path: Path) -> None:
    write_rows(tmp_path)
    plain = stage.identity(config(), tmp_path)
    assert "keep_columns" not in json.dumps(plain)
    assert stage.identity(config(source=SHOP), tmp_path) != plain


def as_csv(rows: list[dict[str, object]]) -> bytes:
    file = io.StringIO()
    writer = csv.DictWriter(file, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def as_jsonl(rows: list[dict[str, object]]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


def as_parquet(rows: list[dict[str, object]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "write"), [("a.csv", as_csv), ("a.jsonl", as_jsonl), ("a.parquet", as_parquet)]
)
def test_cells_of_any_kind_are_kept_as_text(
    name: str, write: Callable[[list[dict[str, object]]], bytes], tmp_path: Path
) -> None:
    made = [
        {"text": "one", "n": 3, "shop": "Zürich\0", "label": "a"},
        {"text": "two", "n": None, "shop": "x" * 300, "label": "b"},
    ]
    place = written(tmp_path, name, write(made))
    rows = read_all(tmp_path, place, keep_columns=("shop", "n"))
    assert [row.kept for row in rows if isinstance(row, Row)] == [
        ("Zürich\ufffd", "3"),
        ("x" * 300, ""),
    ]


def test_column_that_a_file_lacks_is_named(tmp_path: Path) -> None:
    place = written(tmp_path, "a.csv", "text,label,shops\nx,1,2\n")
    problem = r"^preprocess.source.keep_columns.1: must be a column of a.csv; received 'shop', .*"
    with pytest.raises(ValueError, match=problem + r"did you mean 'shops'\?"):
        read_all(tmp_path, place, keep_columns=("shops", "shop"))


def test_row_of_json_that_lacks_a_kept_column_is_set_aside(tmp_path: Path) -> None:
    lines = [{"text": "x", "label": 1, "shop": "a"}, {"text": "y", "label": 1}]
    place = written(tmp_path, "a.jsonl", as_jsonl(lines))
    assert faults(read_all(tmp_path, place, keep_columns=("shop",))) == [(2, "missing_column")]


@pytest.mark.parametrize("columns", [("text",), ("shop", "shop"), ("",)])
def test_columns_that_cannot_be_meant_are_refused(columns: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"^keep_columns: must be different columns beside"):
        Source(train="train.csv", keep_columns=columns)
