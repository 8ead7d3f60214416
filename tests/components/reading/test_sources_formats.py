"""Plain text, Arrow IPC, and every way a file may be compressed."""

from __future__ import annotations

import bz2
import gzip
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tpuline.components.reading.sources import Row, Source, check, digest, list_files

from .source_files import faults, read_all, texts, written

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.compress,
}
CONTENTS = {
    "csv": b"text,label\nhello,1\n",
    "tsv": b"text\tlabel\nhello\t1\n",
    "jsonl": b'{"text": "hello", "label": 1}\n',
    "text": b"hello",
    "lines": b"hello\n",
}
PLAIN: dict[str, Any] = {"label_column": None}


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("format_", CONTENTS)
def test_text_of_every_format_is_read_however_compressed(
    tmp_path: Path, format_: str, suffix: str
) -> None:
    packed = PACKERS[suffix](CONTENTS[format_])
    more = PLAIN if format_ in ("text", "lines") else {}
    place = written(tmp_path, "a.any" + suffix, packed)
    check(Source(train=place, format=format_, **more), tmp_path)  # type: ignore[arg-type]
    assert texts(read_all(tmp_path, place, format=format_, **more)) == ["hello"]


@pytest.mark.parametrize("suffix", PACKERS)
def test_several_streams_in_one_file_are_read_to_the_last(tmp_path: Path, suffix: str) -> None:
    pack = PACKERS[suffix]
    parts = [b"text,label\n", b"one,1\n" * 50_000, b"two,1\n"]
    place = written(tmp_path, "a.csv" + suffix, b"".join(map(pack, parts)))
    rows = texts(read_all(tmp_path, place))
    assert (len(rows), rows[-1]) == (50_001, "two")


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_damaged_compression_fails_after_the_rows_before(
    tmp_path: Path, suffix: str, damage: str
) -> None:
    content = "text,label\n" + "".join(f"row {i * 7919 % 10007},1\n" for i in range(120_000))
    whole = bytearray(PACKERS[suffix](content.encode()))
    middle = len(whole) * 3 // 4
    if damage == "cut":
        del whole[middle:]
    else:
        whole[middle : middle + 8] = bytes(8)
    place = written(tmp_path, "a.csv" + suffix, bytes(whole))
    with pytest.raises(ValueError, match=r"must be a whole (gzip|bzip2|zstd) file; .*damaged"):
        read_all(tmp_path, place)


@pytest.mark.parametrize("suffix", PACKERS)
def test_wrong_suffix_is_said_in_both_directions(tmp_path: Path, suffix: str) -> None:
    packed = PACKERS[suffix](CONTENTS["csv"])
    with pytest.raises(ValueError, match=rf"give it the suffix \{suffix}"):
        check(Source(train=written(tmp_path, "a.csv", packed)), tmp_path)
    with pytest.raises(ValueError, match="-compressed, as its suffix says"):
        check(Source(train=written(tmp_path, "a.csv" + suffix, CONTENTS["csv"])), tmp_path)


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("line", [b"x" * 999 + b"\n", b"x" * 1000])
def test_decompression_bomb_is_refused_in_flat_memory(
    tmp_path: Path, suffix: str, line: bytes
) -> None:
    zeros = PACKERS[suffix](line * 80_000)
    place = written(tmp_path, "a.txt" + suffix, zeros)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"must not swell more than 200 times .*bomb"):
        read_all(tmp_path, place, format="lines", max_line_bytes=1000, **PLAIN)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 120_000  # the rows themselves are held by this test


def test_line_is_a_row_with_its_number_and_blank_lines_are_none(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf one \r\n\n \t\r\ntwo\rthree\x00\ncaf\xe9\n" + b"x" * 2000 + b"\nlast"
    place = written(tmp_path, "a.txt", content)
    rows = read_all(tmp_path, place, format="lines", max_line_bytes=1000, **PLAIN)
    assert [r for r in rows if isinstance(r, Row)] == [
        Row("a.txt", 1, " one ", None, ""),
        Row("a.txt", 7, "last", None, ""),
    ]
    assert faults(rows) == [(4, "nul_byte"), (5, "undecodable"), (6, "line_too_long")]


def test_document_is_a_row_with_its_line_ends(tmp_path: Path) -> None:
    for name, content in {
        "a.txt": b"one\r\ntwo\n",
        "b.txt": b" \n",
        "c.txt": b"x" * 1001,
        "d.txt": b"caf\xe9",
        "e.txt": b"",
    }.items():
        written(tmp_path, name, content)
    rows = read_all(tmp_path, "*.txt", format="text", max_line_bytes=1000, **PLAIN)
    assert rows[0] == Row("a.txt", 1, "one\r\ntwo\n", None, "")
    assert [reason for _, reason in faults(rows)] == [
        "empty_text",
        "line_too_long",
        "undecodable",
        "empty_text",
    ]


def test_text_file_must_be_said_to_be_a_document_or_lines(tmp_path: Path) -> None:
    place = written(tmp_path, "a.txt.gz", b"")
    with pytest.raises(ValueError, match=r"source\.format: must be given .*: text .* or lines "):
        list_files(Source(train=place), "train", tmp_path)


def test_name_of_the_folder_is_the_label(tmp_path: Path) -> None:
    for folder in ("pos", "neg"):
        (tmp_path / "train" / folder).mkdir(parents=True)
        written(tmp_path / "train" / folder, "0_9.txt", f"a {folder} review")
    source = Source(train="train/*/*.txt", format="text", label_from="folder")
    check(source, tmp_path)
    rows = read_all(tmp_path, "train/*/*.txt", format="text", label_from="folder")
    assert rows == [
        Row("train/neg/0_9.txt", 1, "a neg review", None, "neg"),
        Row("train/pos/0_9.txt", 1, "a pos review", None, "pos"),
    ]
    before = digest(source, tmp_path)
    (tmp_path / "train" / "pos").rename(tmp_path / "train" / "good")
    assert digest(source, tmp_path) != before


def test_folder_labels_go_with_tables_too(tmp_path: Path) -> None:
    (tmp_path / "spam").mkdir()
    written(tmp_path / "spam", "a.csv", "text,label\nbuy,0\n")
    pq.write_table(pa.table({"text": ["win"], "label": [0]}), tmp_path / "spam" / "a.parquet")
    for place in ("spam/a.csv", "spam/a.parquet"):
        (row,) = read_all(tmp_path, place, label_from="folder")
        assert (row[4], row[5]) == ("spam", (("label", "0"),))


def write_arrow(path: Path, table: pa.Table, kind: str) -> None:
    make = {"file": pa.ipc.new_file, "stream": pa.ipc.new_stream}[kind]
    with make(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=300)


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_arrow_is_read_whatever_way_its_strings_are_stored(tmp_path: Path, kind: str) -> None:
    words = ["one", "zwei", None, "four"] * 200
    plain = pa.array(words)
    for column in (plain, plain.cast(pa.large_string()), plain.dictionary_encode()):
        table = pa.table({"extra": [[1]] * 800, "label": [0, 1] * 400, "text": column})
        write_arrow(tmp_path / "data-00000-of-00001.arrow", table, kind)
        rows = read_all(tmp_path, "*.arrow")
        assert texts(rows) == [word for word in words if word is not None]
        assert [row.row for row in rows] == list(range(1, 801))
        assert rows[1] == Row("data-00000-of-00001.arrow", 2, "zwei", None, "1")
        check(Source(train="*.arrow"), tmp_path)


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_arrow_file_cut_anywhere_fails(tmp_path: Path, kind: str) -> None:
    table = pa.table({"text": ["x"] * 900, "label": [1] * 900})
    write_arrow(tmp_path / "a.arrow", table, kind)
    whole = (tmp_path / "a.arrow").read_bytes()
    for end in range(0, len(whole), 100):
        written(tmp_path, "a.arrow", whole[:end])
        with pytest.raises(ValueError, match="must be a whole Arrow IPC file"):
            read_all(tmp_path, "a.arrow")


def test_bad_bytes_in_arrow_cost_one_row_and_bad_places_the_file(tmp_path: Path) -> None:
    values = pa.py_buffer(b"abcx\xe9y")
    offsets = pa.array([0, 3, 6], pa.int32()).buffers()[1]
    bad = pa.Array.from_buffers(pa.string(), 2, [None, offsets, values])
    for column in (bad, bad.dictionary_encode()):
        write_arrow(tmp_path / "a.arrow", pa.table({"text": column, "label": [1, 0]}), "file")
        rows = read_all(tmp_path, "a.arrow")
        assert texts(rows) == ["abc"]
        assert [reason for _, reason in faults(rows)] == ["undecodable"]
    offsets = pa.array([0, 1 << 29, 6], pa.int32()).buffers()[1]
    wild = pa.Array.from_buffers(pa.string(), 2, [None, offsets, values])
    write_arrow(tmp_path / "a.arrow", pa.table({"text": wild, "label": [1, 0]}), "file")
    with pytest.raises(ValueError, match="must be a whole Arrow IPC file"):
        read_all(tmp_path, "a.arrow")


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_check_refuses_arrow_without_rows(tmp_path: Path, kind: str) -> None:
    empty = pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.int8())})
    write_arrow(tmp_path / "a.arrow", empty, kind)
    with pytest.raises(ValueError, match="received Arrow IPC of none"):
        check(Source(train="a.arrow"), tmp_path)


@pytest.mark.parametrize(
    ("files", "advice"),
    [
        (["data-00000-of-00002.arrow", "dataset_info.json"], r"write d/\*\.arrow"),
        (["train-00000-of-00001.parquet"], r"write d/\*\.parquet"),
        (["pos/1.txt", "neg/1.txt"], r"write d/\*/\*\.txt"),
        (["a.jsonl.zst"], r"write d/\*\.jsonl\.zst"),
    ],
)
def test_folder_is_refused_with_a_glob_of_what_is_in_it(
    tmp_path: Path, files: list[str], advice: str
) -> None:
    for name in files:
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        written(tmp_path / "d", name, b"")
    with pytest.raises(ValueError, match=rf"received the folder .*; {advice}$"):
        list_files(Source(train="d"), "train", tmp_path)
