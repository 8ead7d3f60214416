"""Each line of a growing file is read once, when it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tpuline.components.prediction import growing
from tpuline.components.prediction.growing import GrowingFiles


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


def test_line_is_read_once_and_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    following = GrowingFiles(str(tmp_path / "*.jsonl"))
    assert following.new_lines() == []
    append(path, b"one\ntw")
    assert following.new_lines() == [(str(path), 1, b"one")]
    append(path, b"o\r\n\nfo\rur\n")
    assert following.new_lines() == [(str(path), 2, b"two\r"), (str(path), 4, b"fo\rur")]
    assert following.new_lines() == []


def test_last_line_without_its_end_is_read_once_when_no_more_is_looked_for(
    tmp_path: Path,
) -> None:
    following = GrowingFiles(str(tmp_path / "*"))
    append(tmp_path / "a", b"one\ntwo")
    append(tmp_path / "b", b"one\n")
    append(tmp_path / "c", b"one\n \r")
    assert [line for _, _, line in following.new_lines()] == [b"one"] * 3
    append(tmp_path / "d", b"since then")
    append(tmp_path / "a", b" and its end\nthree\n")
    assert following.last_lines() == [
        (str(tmp_path / "a"), 2, b"two and its end"), (str(tmp_path / "d"), 1, b"since then")
    ]  # fmt: skip
    assert following.last_lines() == []


def test_file_that_comes_later_is_read_too(tmp_path: Path) -> None:
    following = GrowingFiles(str(tmp_path / "*.jsonl"))
    append(tmp_path / "b.jsonl", b"1\n")
    following.new_lines()
    append(tmp_path / "b.jsonl", b"2\n")
    append(tmp_path / "a.jsonl", b"3\n")
    append(tmp_path / "a.txt", b"4\n")
    assert [line for _, _, line in following.new_lines()] == [b"3", b"2"]


def test_much_is_read_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "READ_BYTES", 8)
    append(tmp_path / "a", b"one\ntwo\nthree\n" + b"x" * 10 + b"\nend\n")
    following = GrowingFiles(str(tmp_path / "a"))
    looks = [([line for _, _, line in following.new_lines()], following.behind) for _ in range(6)]
    assert [lines for lines, _ in looks] == [
        [b"one", b"two"], [b"three"], [b"x" * 8], [b"xx", b"end"], [], []
    ]  # fmt: skip
    assert [len(behind) for _, behind in looks] == [1, 1, 1, 0, 0, 0]


def test_file_that_is_gone_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "READ_BYTES", 8)
    append(tmp_path / "a", b"one\ntwo\nthree\n")
    following = GrowingFiles(str(tmp_path / "*"))
    following.new_lines()
    assert following.behind == [str(tmp_path / "a")]
    (tmp_path / "a").unlink()
    following.new_lines()
    assert following.behind == []


def test_file_that_becomes_shorter_is_told(tmp_path: Path) -> None:
    append(tmp_path / "a", b"one\n")
    following = GrowingFiles(str(tmp_path / "a"))
    following.new_lines()
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(ValueError, match=r"^--input: files that are followed must only grow;"):
        following.new_lines()
