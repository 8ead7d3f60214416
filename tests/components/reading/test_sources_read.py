"""Reading sound files of every format, real ones among them."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tpuline.components.reading.sources import Row, Source, list_files, read

from .source_files import faults, read_all, texts, written

Data = Callable[[str], Path]
MRPC = {
    "text_column": "#1 String",
    "text_pair_column": "#2 String",
    "label_column": "Quality",
}


def test_csv_gives_quoted_fields_and_the_line_each_row_starts_on(tmp_path: Path) -> None:
    content = b'id,text,label\r\n1,"say ""hi"",\r\nthen go",a\r\n\r\n2,plain, b \r\n'
    rows = read_all(tmp_path, written(tmp_path, "a.csv", content))
    assert rows == [
        Row("a.csv", 2, 'say "hi",\r\nthen go', None, "a", others=(("id", "1"),)),
        Row("a.csv", 5, "plain", None, "b", others=(("id", "2"),)),
    ]


def test_only_lf_and_crlf_end_a_row(tmp_path: Path) -> None:
    odd = "a\rb\x85c\u2028d\x0be\x0cf"
    for name, start in (("a.csv", "text,label\n"), ("a.tsv", "text\tlabel\n")):
        separator = start[4]
        content = f"{start}{odd}{separator}1\r\nnext{separator}2\n"
        rows = read_all(tmp_path, written(tmp_path, name, content))
        assert rows == [Row(name, 2, odd, None, "1"), Row(name, 3, "next", None, "2")]


def test_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    for content in (b"text,label\nhi,1\n", b'"text",label\nhi,1\n'):
        place = written(tmp_path, "a.csv", b"\xef\xbb\xbf" + content)
        assert texts(read_all(tmp_path, place)) == ["hi"]
    place = written(tmp_path, "a.jsonl", b'\xef\xbb\xbf{"text": "hi", "label": 1}\n')
    assert texts(read_all(tmp_path, place)) == ["hi"]


def test_tsv_takes_quotes_as_text_unless_told_otherwise(tmp_path: Path) -> None:
    place = written(tmp_path, "a.tsv", 'text\tlabel\n"open\t1\n"a"\t0\n')
    assert texts(read_all(tmp_path, place)) == ['"open', '"a"']
    assert texts(read_all(tmp_path, place, quoting="quoted")) == ["a"]


def test_csv_without_quoting_takes_each_line_as_a_row(tmp_path: Path) -> None:
    place = written(tmp_path, "a.csv", 'text,label\n"open,1\n')
    assert texts(read_all(tmp_path, place, quoting="none")) == ['"open']


def test_jsonl_takes_strings_integers_and_bools_as_labels(tmp_path: Path) -> None:
    labels = ["pos", 3, True, False, 2.0]
    lines = [json.dumps({"text": "é", "label": label, "more": [1]}) for label in labels]
    rows = read_all(tmp_path, written(tmp_path, "a.jsonl", "\n".join(lines)))
    assert [row.label for row in rows if isinstance(row, Row)] == ["pos", "3", "true", "false", "2"]


def test_only_the_first_rows_of_each_file_are_read_when_told(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        written(tmp_path, name, "text,label\n" + "x,1\n" * 9)
    assert len(read_all(tmp_path, "*.csv", max_rows_per_file=3)) == 6


def test_parquet_is_read_whatever_way_its_strings_are_stored(tmp_path: Path) -> None:
    words = ["one", "zwei", None, "four"] * 700  # more than a batch
    plain = pa.array(words)
    stored = {
        "string": plain,
        "large": plain.cast(pa.large_string()),
        "dictionary": plain.dictionary_encode(),
        "binary": plain.cast(pa.binary()),
    }
    for kind, column in stored.items():
        table = pa.table({"text": column, "label": pa.array([0, 1, 1, 0] * 700, pa.int8())})
        pq.write_table(table, tmp_path / f"{kind}.parquet", row_group_size=1000)
        rows = read_all(tmp_path, f"{kind}.parquet")
        assert texts(rows) == [word for word in words if word is not None], kind
        assert Counter(reason for _, reason in faults(rows)) == {"empty_text": 700}
        assert [row.row for row in rows] == list(range(1, 2801))
        assert rows[1] == Row(f"{kind}.parquet", 2, "zwei", None, "1")


def test_parquet_labels_may_be_strings_bools_or_numbers_that_met_a_null(tmp_path: Path) -> None:
    for labels, wanted in (
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([1.0, 0.0]), ["1", "0"]),
    ):
        pq.write_table(pa.table({"text": ["x", "y"], "label": labels}), tmp_path / "a.parquet")
        rows = read_all(tmp_path, "a.parquet")
        assert [row.label for row in rows if isinstance(row, Row)] == wanted


def test_parquet_pairs_are_read(tmp_path: Path) -> None:
    table = pa.table({"label": [1], "b": ["second"], "a": ["first"]})
    pq.write_table(table, tmp_path / "a.parquet")
    rows = read_all(tmp_path, "a.parquet", text_column="a", text_pair_column="b")
    assert rows == [Row("a.parquet", 1, "first", "second", "1")]


@pytest.mark.parametrize(("name", "num_rows"), [("train.csv", 10_003), ("test.csv", 3_080)])
def test_banking77_is_read_whole(real_data: Data, name: str, num_rows: int) -> None:
    rows = read_all(real_data("banking77"), name, label_column="category")
    assert len(texts(rows)) == len(rows) == num_rows
    assert len({row.label for row in rows if isinstance(row, Row)}) == 77
    assert sum("\n" in text for text in texts(rows)) == {10_003: 10, 3_080: 3}[num_rows]


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("train.tsv", {"0": 1194, "1": 2474}),
        ("dev.tsv", {"0": 129, "1": 279}),
        ("test_labeled.tsv", {"0": 578, "1": 1147}),
    ],
)
def test_mrpc_pairs_are_read_whole(real_data: Data, name: str, labels: dict[str, int]) -> None:
    rows = read_all(real_data("mrpc"), name, **MRPC)
    assert not faults(rows)
    assert Counter(row.label for row in rows if isinstance(row, Row)) == labels
    assert all(row.text_pair for row in rows if isinstance(row, Row))


@pytest.mark.parametrize(
    ("name", "num_rows"), [("train.tsv", 67_349), ("dev.tsv", 872), ("test_labeled.tsv", 1_821)]
)
def test_sst2_is_read_whole(real_data: Data, name: str, num_rows: int) -> None:
    rows = read_all(real_data("sst2"), name, text_column="sentence")
    assert len(texts(rows)) == len(rows) == num_rows


@pytest.mark.parametrize(
    ("name", "num_rows"),
    [
        ("emoji_val.jsonl.gz", 5_000),
        ("emoji_train.jsonl.gz", 45_000),
        ("irony_train.jsonl", 2_862),
        ("sentiment_test.jsonl", 12_284),
    ],
)
def test_tweet_eval_is_read_whole(real_data: Data, name: str, num_rows: int) -> None:
    rows = read_all(real_data("tweet_eval"), name)
    assert len(texts(rows)) == len(rows) == num_rows


def test_imdb_is_read_through_gzip_as_the_library_reads_it(real_data: Data) -> None:
    import csv

    folder = real_data("imdb")
    source = Source(train="train.csv.gz", max_rows_per_file=3000)
    (file,) = list_files(source, "train", folder)
    rows = list(read(source, file))
    with gzip.open(folder / "train.csv.gz", "rt", encoding="utf-8", newline="") as lines:
        wanted = [row for row, _ in zip(csv.DictReader(lines), range(3000), strict=False)]
    assert texts(rows) == [row["text"] for row in wanted]
    assert [row.row for row in rows] == list(range(2, 3002))
    assert any("\x85" in text for text in texts(rows))


def test_embedded_sample_is_read_without_any_file(tmp_path: Path) -> None:
    rows = read_all(tmp_path, "sample:support", max_rows_per_file=50)
    assert len(texts(rows)) == 50
    assert len({row.label for row in rows if isinstance(row, Row)}) > 1
    assert rows == read_all(tmp_path, "sample:support", max_rows_per_file=50)
