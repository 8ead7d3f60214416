"""Damage of every kind, by the thousand: a bad row costs itself, a bad file is said to be one."""

from __future__ import annotations

import contextlib
import gzip
import io
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tpuline.components.reading.sources import (
    Reject,
    Row,
    Source,
    check,
    list_files,
    read,
)

from .mutations import damaged_file, made_up_text, mutated, row_bytes
from .source_files import read_all, texts, written
from .test_sources_formats import PACKERS

pytestmark = pytest.mark.timeout(120)

ROW_FORMATS: dict[str, dict[str, Any]] = {
    "csv": {},
    "tsv": {},
    "jsonl": {},
    "lines": {"label_column": None},
}
HEADERS = {"csv": b"text,label\n", "tsv": b"text\tlabel\n"}
NUM_FILES = 5  # of each format
NUM_MUTATED = 1100  # rows in each file


def fuzzed_rows(format_: str, rng: random.Random) -> tuple[bytes, list[str]]:
    """A file in which a marked good row follows each mutated one; and the marks."""
    marks = ["good row of the start"]  # a file that begins as UTF-16 is refused as a whole
    content = [HEADERS.get(format_, b""), row_bytes(format_, marks[0], "1"), b"\n"]
    long_at = rng.randrange(NUM_MUTATED)
    for number in range(NUM_MUTATED):
        bad = row_bytes(format_, made_up_text(rng), rng.choice(["0", "1"]))
        bad = mutated(bad, rng)
        if number == long_at:
            bad = bad[: len(bad) // 2] + b"x" * 10_000_000
        marks.append(f"good row {number}")
        content += [bad, b"\n", row_bytes(format_, marks[-1], "1"), rng.choice([b"\n", b"\r\n"])]
    return b"".join(content), marks


def num_rows(format_: str, content: bytes) -> int:
    """Rows that a file has by the rules of its format, counted in a way of its own."""
    lines = content.split(b"\n")[1 if format_ in HEADERS else 0 :]
    if format_ == "tsv":
        return sum(line.removesuffix(b"\r") != b"" for line in lines)
    return sum(line.strip(b" \t\r") != b"" for line in lines)


def is_sound(row: Row | Reject) -> bool:
    """Whether all of it can be written as UTF-8."""
    "".join(str(part) for part in row).encode()
    return isinstance(row, Row | Reject)


@pytest.mark.parametrize("seed", range(NUM_FILES))
@pytest.mark.parametrize("format_", ROW_FORMATS)
def test_mutated_rows_cost_no_good_row(tmp_path: Path, format_: str, seed: int) -> None:
    content, marks = fuzzed_rows(format_, random.Random(f"{format_} {seed}"))
    source = Source(
        train=written(tmp_path, "a.any", content), format=format_, **ROW_FORMATS[format_]
    )
    (file,) = list_files(source, "train", tmp_path)
    rows = list(read(source, file))
    assert all(map(is_sound, rows))
    wanted = set(marks)
    assert [text for text in texts(rows) if text in wanted] == marks
    if format_ != "csv":  # a record there may be of many lines
        assert len(rows) == num_rows(format_, content)
    numbers = [row.row for row in rows]
    assert numbers == sorted(set(numbers))
    parts = [read(source, file, stripe=stripe, num_stripes=3) for stripe in range(3)]
    assert sorted(row for part in parts for row in part if isinstance(row, Reject)) == sorted(
        row for row in rows if isinstance(row, Reject)
    )


@pytest.mark.parametrize("seed", range(5))
def test_mutated_documents_are_a_row_or_a_reject_each(tmp_path: Path, seed: int) -> None:
    rng = random.Random(f"documents {seed}")
    refused = 0
    for number in range(100):
        place = written(tmp_path, f"{number}.txt", mutated(made_up_text(rng).encode(), rng))
        try:
            (row,) = read_all(tmp_path, place, format="text", label_column=None)
        except ValueError as error:
            refused += "is UTF-16" in str(error)
        else:
            assert is_sound(row)
    assert 0 < refused < 50


def whole_files() -> dict[str, bytes]:
    """A sound file of 2,000 rows in each format and each compression."""
    rng = random.Random("files")
    words = [made_up_text(rng) for _ in range(2000)]
    labels = [str(i % 2) for i in range(2000)]
    made = {}
    for format_ in (*ROW_FORMATS, "text"):
        as_ = "lines" if format_ == "text" else format_
        rows = [row_bytes(as_, *row) + b"\n" for row in zip(words, labels, strict=True)]
        content = HEADERS.get(format_, b"") + b"".join(rows)
        made[format_] = content
        made |= {f"{format_}{suffix}": pack(content) for suffix, pack in PACKERS.items()}
    table = pa.table({"text": words, "label": labels, "number": range(2000), "list": [[1]] * 2000})
    table = table.set_column(1, "label", table["label"].dictionary_encode())
    for name in ("snappy", "zstd", "none"):
        packed = io.BytesIO()
        pq.write_table(table, packed, row_group_size=700, compression=name)
        made[f"parquet ({name})"] = packed.getvalue()
    for name, make in (("file", pa.ipc.new_file), ("stream", pa.ipc.new_stream)):
        for codec in (None, "zstd"):
            packed = io.BytesIO()
            options = pa.ipc.IpcWriteOptions(compression=codec)
            with make(packed, table.schema, options=options) as writer:
                writer.write_table(table, max_chunksize=700)
            made[f"arrow ({name}, {codec})"] = packed.getvalue()
    return made


WHOLE = whole_files()


def outcome(folder: Path, kind: str, content: bytes) -> str:
    """What comes of a file: "read", or why it is refused; no row may be unsound."""
    format_, _, packed = kind.partition(" ")[0].partition(".")
    more = {"label_column": None} if format_ in ("lines", "text") else {}
    place = written(folder, f"a.{packed}" if packed else "a.any", content)
    source = Source(train=place, format=format_, max_line_bytes=100_000, **more)  # type: ignore
    (file,) = list_files(source, "train", folder)
    with contextlib.suppress(ValueError):
        check(source, folder)
    try:
        assert all(map(is_sound, read(source, file)))
    except ValueError as error:
        assert str(error).startswith("preprocess.source.")
        return str(error)
    return "read"


@pytest.mark.parametrize("kind", WHOLE)
def test_damaged_file_is_read_or_refused_in_words(tmp_path: Path, kind: str) -> None:
    rng = random.Random(kind)
    assert outcome(tmp_path, kind, WHOLE[kind]) == "read"
    outcomes = [outcome(tmp_path, kind, damaged_file(WHOLE[kind], rng)) for _ in range(12)]
    if any(word in kind for word in (".gz", ".bz2", "zst", "parquet", "arrow")):
        assert any(said != "read" for said in outcomes)


@pytest.mark.parametrize("kind", [kind for kind in WHOLE if "." in kind or " " in kind])
def test_file_cut_short_is_never_taken_for_whole(tmp_path: Path, kind: str) -> None:
    rng = random.Random(kind)
    for _ in range(6):
        end = rng.randrange(1, len(WHOLE[kind]))
        assert outcome(tmp_path, kind, WHOLE[kind][:end]) != "read"


@pytest.fixture(scope="module")
def bombs() -> list[bytes]:
    """80 MB each when unpacked: a line of NULs, lines, quotes that open and close."""
    lines = (b"x" * 999 + b"\n") * 80_000
    return [gzip.compress(bomb) for bomb in (bytes(80_000_000), lines, b'"' * 80_000_000)]


@pytest.mark.parametrize("format_", [*ROW_FORMATS, "text"])
def test_bomb_in_gzip_is_refused_or_skipped(
    tmp_path: Path, format_: str, bombs: list[bytes]
) -> None:
    for bomb in bombs:
        said = outcome(tmp_path, f"{format_}.gz", gzip.compress(HEADERS.get(format_, b"")) + bomb)
        assert ("decompression bomb" in said) == (format_ != "text")
