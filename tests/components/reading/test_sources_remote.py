"""Sources in a bucket, through Beam and an emulator of the service; and very many files."""

from __future__ import annotations

import gzip
import io
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tpuline.components import files
from tpuline.components.reading.sources import Source, check, digest, list_files, read

from .source_files import texts, written
from .test_sources_formats import write_arrow

CSV = b"text,label\nhello,1\n"


def read_split(source: Source, data_dir: str | Path) -> list[str]:
    found = list_files(source, "train", data_dir)
    return texts([row for file in found for row in read(source, file)])


def test_globs_of_a_bucket_are_read(gcs_emulator: str, tmp_path: Path) -> None:
    for name in ("x-1", "x-2", "y-1"):
        files.write_bytes(f"{gcs_emulator}/d/{name}.csv.gz", gzip.compress(CSV))
    source = Source(train=f"{gcs_emulator}/d/x-*.csv.gz")
    check(source, tmp_path)
    (first, _) = list_files(source, "train", tmp_path)
    assert (first.name, first.path) == (f"{gcs_emulator}/d/x-1.csv.gz",) * 2
    assert first.size_bytes == len(gzip.compress(CSV))
    assert read_split(source, tmp_path) == ["hello", "hello"]


def test_data_folder_may_be_in_a_bucket(gcs_emulator: str, tmp_path: Path) -> None:
    files.write_bytes(f"{gcs_emulator}/data/in/a.csv", CSV)
    source = Source(train="in/*.csv", test=str(tmp_path / written(tmp_path, "b.csv", CSV)))
    check(source, f"{gcs_emulator}/data")
    (file,) = list_files(source, "train", f"{gcs_emulator}/data")
    assert (file.name, file.path) == ("in/a.csv", f"{gcs_emulator}/data/in/a.csv")
    (local,) = list_files(source, "test", f"{gcs_emulator}/data")
    assert local.path == str(tmp_path / "b.csv")


def test_data_folder_of_a_bucket_is_taken_by_its_very_name(gcs_emulator: str) -> None:
    for name in ("in[1]/a.csv", "in[1]/.b.csv", "in1/c.csv"):
        files.write_bytes(f"{gcs_emulator}/{name}", CSV)
    (file,) = list_files(Source(train="*.csv"), "train", f"{gcs_emulator}/in[1]")
    assert (file.name, file.path) == ("a.csv", f"{gcs_emulator}/in[1]/a.csv")
    with pytest.raises(ValueError, match=r"did you mean 'a\.csv'"):
        list_files(Source(train="aa.csv"), "train", f"{gcs_emulator}/in[1]")


def test_tables_of_a_bucket_are_read(gcs_emulator: str, tmp_path: Path) -> None:
    table = pa.table({"text": ["hello"] * 700, "label": [1] * 700})
    packed = io.BytesIO()
    pq.write_table(table, packed)
    files.write_bytes(f"{gcs_emulator}/a.parquet", packed.getvalue())
    for kind in ("file", "stream"):
        write_arrow(tmp_path / "a.arrow", table, kind)
        files.copy(str(tmp_path / "a.arrow"), f"{gcs_emulator}/{kind}.arrow")
    source = Source(train=("a.parquet", "*.arrow"))
    check(source, gcs_emulator)
    assert read_split(source, gcs_emulator) == ["hello"] * 2100


def test_digest_of_a_bucket_knows_content_and_no_names(gcs_emulator: str) -> None:
    source = Source(train="*.csv")
    files.write_bytes(f"{gcs_emulator}/a.csv", CSV)
    first = digest(source, gcs_emulator)
    files.copy(f"{gcs_emulator}/a.csv", f"{gcs_emulator}/sub/b.csv")
    assert digest(source, f"{gcs_emulator}/sub") == first
    files.write_bytes(f"{gcs_emulator}/a.csv", CSV.replace(b"1", b"2"))
    assert digest(source, gcs_emulator) != first


def test_what_a_bucket_lacks_is_said_with_what_is_near(gcs_emulator: str) -> None:
    files.write_bytes(f"{gcs_emulator}/d/train.csv", CSV)
    with pytest.raises(ValueError, match=r"did you mean 'train\.csv'"):
        list_files(Source(train="d/trian.csv"), "train", gcs_emulator)
    with pytest.raises(ValueError, match=r"received the folder gs://.*; write d/\*\.csv"):
        list_files(Source(train="d"), "train", gcs_emulator)


def test_store_that_nobody_can_open_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="received ftp://"):
        check(Source(train="ftp://host/a.csv"), tmp_path)


def test_thousands_of_files_are_listed_and_checked_in_seconds(tmp_path: Path) -> None:
    for number in range(5000):
        written(tmp_path, f"{number:04}.csv", CSV)
    written(tmp_path, "4321.csv", b"other,label\nhello,1\n")  # found when it is read
    source = Source(train="*.csv")
    start = time.monotonic()
    check(source, tmp_path)
    digest(source, tmp_path)
    assert time.monotonic() - start < 10
    assert len(list_files(source, "train", tmp_path)) == 5000
    written(tmp_path, "0000.csv", b"other,label\nhello,1\n")
    with pytest.raises(ValueError, match="columns found: 'other'"):
        check(source, tmp_path)
    written(tmp_path, "5000.any", CSV)
    with pytest.raises(ValueError, match=r"received '5000\.any'"):
        check(Source(train="*"), tmp_path)
