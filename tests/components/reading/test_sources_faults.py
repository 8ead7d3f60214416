"""Reading damaged files: one bad row costs one row, a broken file fails."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tpuline.components.reading.sources import (
    Reject,
    Row,
    Source,
    check,
    list_files,
    read,
)

from .source_files import faults, read_all, texts, written


def test_latin1_byte_costs_one_row_and_is_named(tmp_path: Path) -> None:
    for name, separator in (("a.csv", b","), ("a.tsv", b"\t")):
        lines = [b"text,label", "à".encode() + b" caf\xe9,1", "café,1".encode(), b"x,1"]
        content = b"\n".join(lines).replace(b",", separator)
        rows = read_all(tmp_path, written(tmp_path, name, content))
        assert texts(rows) == ["café", "x"]
        assert faults(rows) == [(2, "undecodable")]
        assert "byte 0xe9 at byte 6;" in rows[0][3]


def test_bad_byte_in_an_unused_column_costs_nothing(tmp_path: Path) -> None:
    place = written(tmp_path, "a.csv", b"text,label,more\ngood,1,caf\xe9\n")
    assert texts(read_all(tmp_path, place)) == ["good"]


def test_bad_byte_beside_a_lone_cr_is_still_seen(tmp_path: Path) -> None:
    place = written(tmp_path, "a.csv", b"text,label\na\rb\xe9,1\na\rb,1\n")
    rows = read_all(tmp_path, place)
    assert faults(rows) == [(2, "undecodable")]
    assert texts(rows) == ["a\rb"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz"])
def test_line_of_five_megabytes_costs_one_row_and_no_memory(tmp_path: Path, name: str) -> None:
    separator = b"\t" if "tsv" in name else b","
    start = b"text" + separator + b"label\n"
    content = start + b"x" * 5_000_000 + separator + b"1\ngood" + separator + b"1\n"
    if name.endswith(".gz"):
        content = gzip.compress(content)
    place = written(tmp_path, name, content)
    tracemalloc.start()
    rows = read_all(tmp_path, place, max_line_bytes=10_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert texts(rows) == ["good"]
    assert faults(rows) == [(2, "line_too_long")]
    assert peak < 1_500_000


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_line_of_exactly_the_limit_is_kept(tmp_path: Path, end: bytes) -> None:
    body = b"x" * 998 + b",1"
    for extra, wanted in ((b"", []), (b"x", [(2, "line_too_long")])):
        place = written(tmp_path, "a.csv", b"text,label\n" + extra + body + end)
        assert faults(read_all(tmp_path, place, max_line_bytes=1000)) == wanted


def test_field_above_the_parsers_own_limit_is_kept(tmp_path: Path) -> None:
    place = written(tmp_path, "a.csv", "text,label\n" + "x" * 200_000 + ",1\n")
    assert [len(text) for text in texts(read_all(tmp_path, place))] == [200_000]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("a.csv", b"a\0b,1"),
        ("a.tsv", b"a\0b\t1"),
        ("a.jsonl", rb'{"text": "a\u0000b", "label": 1}'),
    ],
)
def test_nul_byte_costs_one_row(tmp_path: Path, name: str, row: bytes) -> None:
    good = row.replace(rb"\u0000", b"").replace(b"\0", b"")
    start = {"a.csv": b"text,label\n", "a.tsv": b"text\tlabel\n", "a.jsonl": b""}[name]
    rows = read_all(tmp_path, written(tmp_path, name, start + row + b"\n" + good + b"\n"))
    assert texts(rows) == ["ab"]
    assert [reason for _, reason in faults(rows)] == ["nul_byte"]


def test_wrong_number_of_fields_costs_one_row(tmp_path: Path) -> None:
    place = written(tmp_path, "a.csv", "text,label\na,1,2\nb\nc,1\n")
    rows = read_all(tmp_path, place)
    assert faults(rows) == [(2, "malformed_row"), (3, "malformed_row")]
    assert texts(rows) == ["c"]


def test_blank_label_costs_one_row(tmp_path: Path) -> None:
    rows = read_all(tmp_path, written(tmp_path, "a.csv", "text,label\na, \nb,1\n"))
    assert faults(rows) == [(2, "missing_label")]


@pytest.mark.parametrize(
    "rest",
    [
        b'good,1\n"fine",0\n',  # the next quote closes, then text follows
        b"good,1\nfine,0\n",  # no quote until the end of the file
        b'good,1\n"\nfine",0\n',  # a quote that closes the field, with too few fields
        b'good,1\n",fine",0\n',  # and with too many
    ],
)
def test_unclosed_quote_costs_its_own_line_only(tmp_path: Path, rest: bytes) -> None:
    place = written(tmp_path, "a.csv", b'text,label\n"open,1\n' + rest)
    rows = read_all(tmp_path, place)
    assert faults(rows) == [(2, "malformed_quote")]
    assert [text.strip("\n,") for text in texts(rows)] == ["good", "fine"]
    assert rows[1].row == 3


def test_unclosed_quote_in_a_long_file_gives_up_at_the_limit(tmp_path: Path) -> None:
    content = 'text,label\n"open,1\n' + "good,1\n" * 5000
    rows = read_all(tmp_path, written(tmp_path, "a.csv", content), max_line_bytes=1000)
    assert faults(rows) == [(2, "malformed_quote")]
    assert len(texts(rows)) == 5000


def test_many_unclosed_quotes_cost_a_row_each(tmp_path: Path) -> None:
    content = "text,label\n" + '"open,1\ngood,1\n' * 3000
    rows = read_all(tmp_path, written(tmp_path, "a.csv", content))
    assert len(faults(rows)) == 3000
    assert texts(rows) == ["good"] * 3000


def test_tail_of_a_broken_record_is_no_row(tmp_path: Path) -> None:
    place = written(tmp_path, "a.csv", 'text,label\n"he said "hi"\nand left",1\nfine,1\n')
    rows = read_all(tmp_path, place)
    assert faults(rows) == [(2, "malformed_quote"), (3, "malformed_quote")]
    assert texts(rows) == ["fine"]


def test_overlong_line_inside_an_open_quote_costs_two_rows(tmp_path: Path) -> None:
    content = 'text,label\n"open,1\n' + "x" * 2000 + ",1\ngood,1\n"
    rows = read_all(tmp_path, written(tmp_path, "a.csv", content), max_line_bytes=1000)
    assert faults(rows) == [(2, "malformed_quote"), (3, "line_too_long")]
    assert texts(rows) == ["good"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a", "label": 1', "malformed_json"),
        (b'["a", 1]', "malformed_json"),
        (b'"a"', "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b'{"text": "a", "label": ' + b"9" * 5000 + b"}", "malformed_json"),
        (b'{"text": "a"}', "missing_column"),
        (b'{"text": 7, "label": 1}', "wrong_type"),
        (b'{"text": "a", "label": [1]}', "wrong_type"),
        (b'{"text": "a", "label": 0.5}', "wrong_type"),
        (b'{"text": "a", "label": NaN}', "missing_label"),
        (b'{"text": "a", "label": null}', "missing_label"),
        (b'{"text": null, "label": 1}', "empty_text"),
        (b'{"text": "caf\xe9", "label": 1}', "undecodable"),
        (rb'{"text": "\ud800", "label": 1}', "undecodable"),
    ],
)
def test_bad_json_line_costs_one_row(tmp_path: Path, line: bytes, reason: str) -> None:
    good = b'{"text": "good", "label": 1}\n'
    rows = read_all(tmp_path, written(tmp_path, "a.jsonl", good + line + b"\n" + good))
    assert texts(rows) == ["good", "good"]
    assert faults(rows) == [(2, reason)]
    assert len(rows[1][3]) <= 200


def test_bad_bytes_in_parquet_cost_one_row(tmp_path: Path) -> None:
    values = pa.py_buffer(b"abcx\xe9y")
    offsets = pa.array([0, 3, 6], pa.int32()).buffers()[1]
    bad = pa.Array.from_buffers(pa.string(), 2, [None, offsets, values])
    for column in (bad, bad.dictionary_encode()):
        pq.write_table(pa.table({"text": column, "label": [1, 0]}), tmp_path / "a.parquet")
        rows = read_all(tmp_path, "a.parquet")
        assert texts(rows) == ["abc"]
        assert [reason for _, reason in faults(rows)] == ["undecodable"]


def test_long_text_in_parquet_costs_one_row(tmp_path: Path) -> None:
    table = pa.table({"text": ["é" * 501, "é" * 500], "label": [1, 0]})
    pq.write_table(table, tmp_path / "a.parquet")
    rows = read_all(tmp_path, "a.parquet", max_line_bytes=1000)
    assert faults(rows) == [(1, "line_too_long")]


@pytest.mark.parametrize("damage", ["cut", "checksum", "stream"])
def test_broken_gzip_file_fails_after_the_rows_before(tmp_path: Path, damage: str) -> None:
    content = "text,label\n" + "".join(f"row {i * 7919 % 10007},1\n" for i in range(60_000))
    whole = gzip.compress(content.encode())
    middle = len(whole) * 3 // 4
    broken = {
        "cut": whole[:middle],
        "checksum": whole[:-8] + bytes(8),
        "stream": whole[:middle] + b"\xff" * 64,
    }[damage]
    source = Source(train=written(tmp_path, "a.csv.gz", broken))
    check(source, tmp_path)  # its start is sound
    (file,) = list_files(source, "train", tmp_path)
    num_rows = 0
    with pytest.raises(ValueError, match=r"a\.csv\.gz .*cut short or damaged.*download") as raised:
        for _ in read(source, file):
            num_rows += 1
    assert num_rows > 20_000
    assert f"after row {num_rows} " in str(raised.value)


def test_broken_parquet_file_fails(tmp_path: Path) -> None:
    table = pa.table({"text": [f"text {i}" for i in range(5000)], "label": [1] * 5000})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=1000)
    whole = (tmp_path / "a.parquet").read_bytes()
    middle = len(whole) // 2
    written(tmp_path, "a.parquet", whole[:middle] + b"\xff" * 500 + whole[middle + 500 :])
    with pytest.raises(ValueError, match="must be a whole Parquet file"):
        read_all(tmp_path, "a.parquet")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_file_without_rows_fails(tmp_path: Path, name: str) -> None:
    place = written(tmp_path, name, {"a.csv": "text,label\n", "a.jsonl": "\n"}[name])
    with pytest.raises(ValueError, match="must have rows"):
        read_all(tmp_path, place)


LINE = st.text(st.sampled_from('ab ",é\r\x85'), min_size=1, max_size=8)
LABEL = st.sampled_from(["0", "1"])
DAMAGE = st.binary(max_size=8).map(lambda data: data.replace(b"\n", b" "))


@settings(max_examples=300, deadline=None)
@example(rows=[("a", "0"), (",b", "1"), ("b", "1")], hit=0, at=0, damage=b'"')
@example(rows=[("a", "0"), ('",b', "1"), ("b", "1")], hit=0, at=0, damage=b'"')
@given(
    rows=st.lists(st.tuples(LINE, LABEL), min_size=2, max_size=6),
    hit=st.integers(0, 5),
    at=st.integers(0, 8),
    damage=DAMAGE,
)
def test_damaged_line_costs_no_other_line(
    rows: list[tuple[str, str]], hit: int, at: int, damage: bytes
) -> None:
    hit %= len(rows)
    out = [_csv_line(row) for row in rows]
    out[hit] = out[hit][:at] + damage + out[hit][at:].rstrip(b"\n") + b"\n"
    untouched = [text for i, (text, _) in enumerate(rows) if i != hit]
    with tempfile.TemporaryDirectory() as folder:
        name = written(Path(folder), "a.csv", b"text,label\n" + b"".join(out))
        read_back = read_all(Path(folder), name)
    others = [row for row in read_back if row.row != hit + 2]
    assert texts(others) == untouched
    assert len(read_back) - len(others) <= 1


def _csv_line(row: tuple[str, str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue().encode()


@settings(max_examples=200, deadline=None)
@given(
    content=st.binary(max_size=300),
    name=st.sampled_from(["a.csv", "a.tsv", "a.jsonl"]),
)
def test_no_bytes_crash_a_reader(content: bytes, name: str) -> None:
    start = {"a.csv": b"text,label\n", "a.tsv": b"text\tlabel\n", "a.jsonl": b"{}\n"}[name]
    with tempfile.TemporaryDirectory() as folder:
        rows = read_all(Path(folder), written(Path(folder), name, start + b"a,1\n" + content))
    assert all(isinstance(row, Row | Reject) for row in rows)
    for row in rows:
        if isinstance(row, Row):
            (row.text + row.label).encode("utf-8")
