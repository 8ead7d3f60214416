"""Rows set aside: gathered, counted, judged."""

import json
from pathlib import Path

import pytest

from tpuline.components.preprocess import rejects
from tpuline.components.preprocess.privacy import Privacy, Redactor
from tpuline.components.preprocess.rejects import (
    check_share,
    gather_rejects,
    private,
    write_rejects,
)
from tpuline.components.reading.rows import Reject, reject


def rejects_of(file: str, *rows: int, reason: str = "missing_label") -> list[Reject]:
    return [Reject(file, row, reason, f"row {row}") for row in rows]  # type: ignore[arg-type]


def test_rejects_come_sorted_by_file_and_row_whoever_wrote_them(tmp_path: Path) -> None:
    files = [
        write_rejects(rejects_of("b.csv", 2, 10), str(tmp_path / "spill"), source="b.csv"),
        write_rejects(rejects_of("a.csv", 9, 100), str(tmp_path / "spill"), source="a.csv"),
        write_rejects(
            rejects_of("a.csv", 10, reason="unknown_label")
            + rejects_of("c.csv", 1, reason="unknown_label"),
            str(tmp_path / "spill"),
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


def test_more_files_than_may_be_open_are_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejects, "MAX_OPEN", 2)
    files = [write_rejects(rejects_of("a.csv", row, row + 50), str(tmp_path)) for row in range(11)]
    assert gather_rejects(files, tmp_path / "rejects.jsonl").counts.total() == 22
    rows = (tmp_path / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(row)["row"] for row in rows] == [*range(11), *range(50, 61)]
    assert not list(tmp_path.glob(".rejects-*"))


def test_details_are_redacted_before_they_are_cut() -> None:
    address = f"{'a' * 60}@{'b' * 60}.example.org"
    long = reject("a.csv", 1, "unknown_label", f"{'x ' * 60}{address} {'y' * 300}")
    shown = private(long, Redactor(Privacy(redact=("email",))), Privacy())
    assert "aaa" not in shown.detail and "[EMAIL]" in shown.detail
    assert len(shown.detail) == 200 and shown.detail.endswith("…")


def test_too_many_rejects_name_reasons_and_first_rows(tmp_path: Path) -> None:
    files = [write_rejects(rejects_of("a.csv", 3, 7), str(tmp_path))]
    rejected = gather_rejects(files, tmp_path / "rejects.jsonl")
    check_share(rejected, 100, 0.02, tmp_path / "rejects.jsonl")
    with pytest.raises(ValueError, match="max_reject_share") as error:
        check_share(rejected, 99, 0.02, tmp_path / "rejects.jsonl")
    message = str(error.value)
    assert "received 2 of 99" in message
    assert "missing_label: 2, first at a.csv:3" in message
    assert str(tmp_path / "rejects.jsonl") in message


def test_rejects_of_a_source_that_workers_shared_come_sorted(tmp_path: Path) -> None:
    files = [
        write_rejects(rejects_of(name, *rows), str(tmp_path), source=name)
        for name, rows in (("b.csv", [3]), ("a.csv", [1, 7]), ("b.csv", [2, 9]), ("a.csv", [4]))
    ]
    gather_rejects(files, tmp_path / "rejects.jsonl")
    lines = (tmp_path / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    found = [(json.loads(line)["file"], json.loads(line)["row"]) for line in lines]
    assert found == [("a.csv", 1), ("a.csv", 4), ("a.csv", 7), ("b.csv", 2), ("b.csv", 3), ("b.csv", 9)]  # fmt: skip  # noqa: E501


def test_rows_left_out_on_purpose_are_no_faults(tmp_path: Path) -> None:
    files = [write_rejects(rejects_of("a.csv", *range(50), reason="duplicate"), str(tmp_path))]
    rejected = gather_rejects(files, tmp_path / "rejects.jsonl")
    check_share(rejected, 100, 0.0, tmp_path / "rejects.jsonl")
    assert rejected.counts == {"duplicate": 50}


def test_a_reject_shows_no_more_than_privacy_allows() -> None:
    privacy = Privacy(redact=("email",), rejects="full")
    (shown,) = rejects_of("a.csv", 1)
    shown = shown._replace(detail="write to jo@example.org")
    assert private(shown, Redactor(privacy), privacy).detail == "write to [EMAIL]"
    hashing = Privacy(rejects="hash")
    hidden = private(shown, Redactor(hashing), hashing)
    assert (hidden.file, hidden.row, hidden.reason) == (shown.file, shown.row, shown.reason)
    assert "jo" not in hidden.detail and "write" not in hidden.detail
