"""Finding, checking and identifying source files."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tpuline.components.reading.sources import Source, check, digest, list_files

from .source_files import written

GOOD = "text,label\nhello,1\n"


def names(folder: Path, place: str | tuple[str, ...], **config: Any) -> list[str]:
    return [f.name for f in list_files(Source(train=place, **config), "train", folder)]


def test_glob_is_sorted_and_holds_nothing_twice(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "c.csv.gz"):
        written(tmp_path, name, GOOD)
    (tmp_path / "x.csv").mkdir()
    assert names(tmp_path, ("*.csv*", "a.csv")) == ["a.csv", "b.csv", "c.csv.gz"]


def test_glob_crosses_folders_with_two_stars(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    written(tmp_path / "deep" / "er", "a.csv", GOOD)
    assert names(tmp_path, "**/*.csv") == ["deep/er/a.csv"]


def test_name_with_glob_characters_is_found_as_it_stands(tmp_path: Path) -> None:
    assert names(tmp_path, written(tmp_path, "a[1].csv", GOOD)) == ["a[1].csv"]


def test_absolute_place_ignores_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    written(tmp_path, "a.csv", GOOD)
    assert names(tmp_path / "data", str(tmp_path / "a.csv")) == [str(tmp_path / "a.csv")]


@pytest.mark.parametrize(
    ("name", "format_", "compressed"),
    [
        ("a.csv", "csv", False),
        ("a.TSV", "tsv", False),
        ("a.v2.jsonl.gz", "jsonl", True),
        ("a.parquet", "parquet", False),
    ],
)
def test_format_is_told_by_suffix(
    tmp_path: Path, name: str, format_: str, compressed: bool
) -> None:
    (file,) = list_files(Source(train=written(tmp_path, name, GOOD)), "train", tmp_path)
    assert (file.format, file.compressed) == (format_, compressed)


def test_unknown_suffix_needs_a_format(tmp_path: Path) -> None:
    place = written(tmp_path, "a.txt", GOOD)
    with pytest.raises(ValueError, match=r"set preprocess\.source\.format"):
        names(tmp_path, place)
    (file,) = list_files(Source(train=place, format="csv"), "train", tmp_path)
    assert file.format == "csv"


def test_missing_file_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    written(tmp_path, "train.tsv", GOOD)
    with pytest.raises(ValueError, match=r"preprocess\.source\.train: .*did you mean 'train\.tsv'"):
        names(tmp_path, "trian.tsv")


def test_missing_folder_is_answered_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "sst2").mkdir()
    with pytest.raises(ValueError, match="did you mean 'sst2'"):
        names(tmp_path, "sst-2/train*.tsv")
    with pytest.raises(ValueError, match="is empty; set data_dir"):
        names(tmp_path / "sst2", "*.tsv")


def test_folder_in_place_of_a_file_is_refused_with_a_glob_that_works(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    written(tmp_path / "train", "a.jsonl.gz", b"")
    with pytest.raises(ValueError, match=r"received the folder .*; write train/\*\.jsonl\.gz"):
        names(tmp_path, "train/")
    assert names(tmp_path, "train/*.jsonl.gz") == ["train/a.jsonl.gz"]


def test_gzipped_parquet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Parquet must not be gzip-compressed"):
        names(tmp_path, written(tmp_path, "a.parquet.gz", b""))


CHECKED = [
    ("a.csv", b"", "received an empty file"),
    ("a.csv", b"\xef\xbb\xbf", "received an empty file"),
    ("a.csv.gz", gzip.compress(b"", mtime=0), "received an empty file"),
    ("a.csv", b"text,label\n", "received nothing after the header"),
    ("a.csv", b"text\tlabel\nhello\t1\n", r"wrong delimiter\? .*\.format: tsv"),
    ("a.tsv", b"text,label\nhello,1\n", r"wrong delimiter\? .*\.format: csv"),
    ("a.csv", b"text;label\nhello;1\n", "separated by ';'"),
    ("a.csv", b"sentence,label\nhello,1\n", "text_column: .*'text', columns found: 'sentence'"),
    ("a.csv", b"Text,label\nhello,1\n", r"did you mean 'Text'\?"),
    ("a.csv", b"text,lable\nhello,1\n", r"label_column: .*did you mean 'lable'\?"),
    ("a.csv", b"hello there,1\nbye,0\n", r"no header\? .* such as 'text,label'"),
    ("a.csv", b"text,text,label\na,b,1\n", "received 'text', which stands there 2 times"),
    ("a.csv", b'text,"label\nhello,1\n', "a first row that is set aside"),
    ("a.csv", b"text,label\rhello,1\rbye,0\r", "received a lone CR"),
    ("a.csv", "text,label\nhello,1\n".encode("utf-16"), "is UTF-16"),
    ("a.csv", "text,label\nhello,1\n".encode("utf-16-le"), "received NUL bytes"),
    ("a.csv", gzip.compress(GOOD.encode(), mtime=0), "give it the suffix .gz"),
    ("a.csv.gz", GOOD.encode(), "must be gzip-compressed"),
    ("a.csv.gz", gzip.compress(GOOD.encode(), mtime=0)[:12], "cut short or damaged"),
    ("a.csv", b"PK\x03\x04rest", "is a ZIP archive or a spreadsheet"),
    ("a.jsonl", b"\n\n", "received an empty file"),
    ("a.jsonl", b'[{"text": "a"}]\n', "one JSON object a line"),
    ("a.jsonl", b"text,label\nhello,1\n", "one JSON object a line"),
    ("a.jsonl", b'{"txt": "a", "label": 1}\n', r"did you mean 'txt'\?"),
    ("a.parquet", b"", "must be a whole Parquet file"),
    ("a.parquet", b"PAR1 and then nothing", "must be a whole Parquet file"),
]


@pytest.mark.parametrize(("name", "content", "words"), CHECKED)
def test_check_refuses(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        check(Source(train=written(tmp_path, name, content)), tmp_path)
    assert str(raised.value).startswith("preprocess.source.")
    assert name in str(raised.value)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"txt": ["a"], "label": [1]}, r"did you mean 'txt'\?"),
        ({"text": [3], "label": [1]}, "'text' must hold strings; received int64"),
        ({"text": ["a"], "label": [[1]]}, "'label' must hold strings, integers or bools"),
        ({"text": pa.array([], pa.string()), "label": pa.array([], pa.int8())}, "must have rows"),
    ],
)
def test_check_refuses_parquet(tmp_path: Path, table: dict[str, Any], words: str) -> None:
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=words):
        check(Source(train="a.parquet"), tmp_path)


def test_check_accepts_good_files(tmp_path: Path) -> None:
    written(tmp_path, "a.csv", GOOD)
    written(tmp_path, "a.tsv", '"text"\tlabel\na\t1\n')
    written(tmp_path, "a.jsonl", '\n{"label": 1, "text": "a"}\n')
    check(Source(train=("a.csv", "a.jsonl")), tmp_path)
    check(Source(train="a.tsv", quoting="quoted"), tmp_path)
    with pytest.raises(ValueError, match="columns found: '\"text\"'"):
        check(Source(train="a.tsv"), tmp_path)


def test_check_refuses_a_file_in_two_splits(tmp_path: Path) -> None:
    written(tmp_path, "a.csv", GOOD)
    (tmp_path / "b.csv").symlink_to(tmp_path / "a.csv")
    with pytest.raises(ValueError, match=r"source\.test: must share no file with train"):
        check(Source(train="a.csv", test="b.csv"), tmp_path)


def test_check_of_text_files_imports_no_heavy_library(tmp_path: Path) -> None:
    written(tmp_path, "a.csv", GOOD)
    program = (
        "import sys; from pathlib import Path\n"
        "from tpuline.components.reading.sources import Source, check, digest\n"
        "source = Source(train='a.csv'); check(source, Path('.')); digest(source, Path('.'))\n"
        "print({'pyarrow', 'tensorflow', 'tensorflow_datasets', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_digest_knows_content_and_neither_names_nor_order(tmp_path: Path) -> None:
    written(tmp_path, "a.csv", "text,label\none,1\n")
    written(tmp_path, "b.csv", "text,label\ntwo,1\n")
    first = digest(Source(train=("a.csv", "b.csv")), tmp_path)
    (tmp_path / "a.csv").rename(tmp_path / "z.csv")
    assert digest(Source(train=("b.csv", "z.csv")), tmp_path) == first
    assert set(first) == {"train"}
    written(tmp_path, "b.csv", "text,label\ntwo,0\n")
    assert digest(Source(train=("b.csv", "z.csv")), tmp_path) != first


def test_digest_knows_as_what_a_file_is_read(tmp_path: Path) -> None:
    written(tmp_path, "a.csv", GOOD)
    written(tmp_path, "a.tsv", GOOD)
    as_csv = digest(Source(train="a.csv"), tmp_path)
    assert digest(Source(train="a.tsv", format="csv"), tmp_path) == as_csv
    assert digest(Source(train="a.tsv"), tmp_path) != as_csv
