"""Configured places -> rows: checks, identifies and reads the source texts, whatever format."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from gzip import BadGzipFile
from itertools import islice
from pathlib import Path

from ..stage import Log
from .parquet_files import check_parquet, read_parquet
from .places import identity, list_files
from .rows import Reason, Reject, Row, row_of_strings
from .source import SPLITS, TFDS, Format, InputFile, Source
from .text_files import check_delimited, check_jsonl, no_rows, read_delimited, read_jsonl
from .tfds_source import check_tfds, fetch_tfds, read_tfds, tfds_content_files, to_be_fetched

__all__ = [
    "SPLITS",
    "InputFile",
    "Reason",
    "Reject",
    "Row",
    "Source",
    "check",
    "digest",
    "fetch",
    "list_files",
    "read",
]


def check(source: Source, data_dir: Path) -> None:
    """Raise `ValueError` for whatever the names and the first rows of the files show.

    Reads no more than the first row of each file; imports neither TensorFlow nor TFDS. A TFDS data
    set that a run would fetch first is passed over.
    """
    first: dict[tuple[Path, str], InputFile] = {}
    for split in SPLITS:
        places = source.places(split)
        if any(to_be_fetched(place, split, data_dir) for place in places):
            continue
        for file in list_files(source, split, data_dir):
            other = first.setdefault(identity(file), file)
            if other.split != split:
                raise ValueError(
                    f"{file.field}: must share no file with {other.split}; received {file.name!r} "
                    "in both; leave one out, or give null to have it cut from train"
                )
            try:
                _CHECKS[file.format](source, file)
            except _BROKEN as error:
                raise _broken(file, 0, error) from error


def fetch(source: Source, data_dir: Path, log: Log) -> None:
    """Prepares the TFDS data sets that are named and not on this machine; may need the internet."""
    for split in SPLITS:
        for place in source.places(split):
            if place.startswith(TFDS):
                fetch_tfds(place, split, data_dir, log)


def digest(source: Source, data_dir: Path) -> dict[str, str]:
    """What stands for the content of each split in a cache key: sha256, by split.

    Taken over the sorted digests of its files, so that neither names nor their order count.
    """
    return {
        split: _combined(_content(source, file) for file in list_files(source, split, data_dir))
        for split in SPLITS
        if source.places(split)
    }


def read(source: Source, input_file: InputFile) -> Iterator[Row | Reject]:
    """Every row of one file in its order: sound, or set aside with the reason.

    `ValueError` for a file that will not do as a whole: no header or another one, no rows, cut
    short. A file that breaks off has lost an unknown number of rows, so it is no matter of rejects.
    """
    count = 0
    try:
        for row in islice(
            _READERS[input_file.format](source, input_file), source.max_rows_per_file
        ):
            count += 1
            yield row
    except _BROKEN as error:
        raise _broken(input_file, count, error) from error
    if not count:
        raise no_rows(input_file, "none")


_BROKEN = (EOFError, zlib.error, BadGzipFile)


def _broken(file: InputFile, count: int, error: Exception) -> ValueError:
    return ValueError(
        f"{file.field}: {file.name} must be a whole gzip file; received one that is cut short or "
        f"damaged, after row {count} or a little later ({error}); download or compress it again"
    )


def _read_sample(source: Source, input_file: InputFile) -> Iterator[Row | Reject]:
    from .sample import messages

    for number, (text, label) in enumerate(messages(), start=1):
        yield row_of_strings(input_file.name, number, text=text, text_pair=None, label=label)


def _combined(digests: Iterator[str]) -> str:
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def _content(source: Source, file: InputFile) -> str:
    """What the rows of one file depend on besides the config."""
    if file.format == "sample":
        whole = hashlib.sha256()
        for row in _read_sample(source, file):
            whole.update(repr(row).encode())
        return whole.hexdigest()
    if file.format == "tfds":
        files = (_sha256(path) for path in tfds_content_files(file))
        return f"tfds:{file.tfds_split}:{_combined(files)}"
    return f"{file.format}:{_sha256(file.path)}"


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_READERS: dict[Format, Callable[[Source, InputFile], Iterator[Row | Reject]]] = {
    "csv": read_delimited,
    "tsv": read_delimited,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "tfds": read_tfds,
    "sample": _read_sample,
}

_CHECKS: dict[Format, Callable[[Source, InputFile], None]] = {
    "csv": check_delimited,
    "tsv": check_delimited,
    "jsonl": check_jsonl,
    "parquet": check_parquet,
    "tfds": check_tfds,
    "sample": lambda source, file: None,
}
