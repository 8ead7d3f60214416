"""Rows set aside: gathered, counted, judged."""

import json
from pathlib import Path

import pytest

from tpuline.components.preprocess.rejects import check_share, gather_rejects, write_rejects
from tpuline.components.preprocess.rows import Reject


def rejects_of(file: str, *rows: int, reason: str = "missing_label") -> list[Reject]:
    return [Reject(file, row, reason, f"row {row}") for row in rows]  # type: ignore[arg-type]


def test_rejects_come_sorted_by_file_and_row_whoever_wrote_them(tmp_path: Path) -> None:
    files = [
        write_rejects(rejects_of("b.csv", 2, 10), tmp_path / "spill", source="b.csv"),
        write_rejects(rejects_of("a.csv", 9, 100), tmp_path / "spill", source="a.csv"),
        write_rejects(
            rejects_of("a.csv", 10, reason="unknown_label")
            + rejects_of("c.csv", 1, reason="unknown_label"),
            tmp_path / "spill",
        ),
    ]
    rejected = gather_rejects(files, tmp_path / "rejects.jsonl")
    lines = [
        json.loads(line)
        for line in (tmp_path / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [(line["file"], line["row"]) for line in lines] == [
        ("a.csv", 9), ("a.csv", 10), ("a.csv", 100), ("b.csv", 2), ("b.csv", 10), ("c.csv", 1),
    ]  # fmt: skip
    assert rejected.counts == {"missing_label": 4, "unknown_label": 2}
    assert rejected.first["unknown_label"].row == 10


def test_too_many_rejects_name_reasons_and_first_rows(tmp_path: Path) -> None:
    files = [write_rejects(rejects_of("a.csv", 3, 7), tmp_path)]
    rejected = gather_rejects(files, tmp_path / "rejects.jsonl")
    check_share(rejected, 100, 0.02, tmp_path / "rejects.jsonl")
    with pytest.raises(ValueError, match="max_reject_share") as error:
        check_share(rejected, 99, 0.02, tmp_path / "rejects.jsonl")
    message = str(error.value)
    assert "received 2 of 99" in message
    assert "missing_label: 2, first at a.csv:3" in message
    assert str(tmp_path / "rejects.jsonl") in message
