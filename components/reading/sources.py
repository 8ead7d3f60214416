"""Configured places -> rows: checks, identifies and reads the source texts, whatever format."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

from .. import files
from ..stage import Log
from .bigquery_source import bigquery_identity, check_bigquery, read_bigquery
from .columnar import check_columnar, read_columnar
from .decompress import NAMES, BrokenFile
from .function import called, function_digest, load_function
from .picking import Made, field_picker
from .places import identity, list_files
from .rows import Reason, Reject, Row
from .source import SPLITS, TFDS, Format, InputFile, Source
from .stripes import Stripe
from .text_files import (
    check_delimited,
    check_document,
    check_jsonl,
    check_plain_lines,
    no_rows,
    read_delimited,
    read_document,
    read_jsonl,
    read_plain_lines,
)
from .tfds_source import (
    check_tfds,
    fetch_tfds,
    read_tfds,
    tfds_content_files,
    tfds_cut,
    to_be_fetched,
)

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
    "function_digest",
    "list_files",
    "read",
]

MAX_CHECKED = 50  # files that are opened; of more, only the first of each split and format
NUM_REQUESTS = 16  # to a bucket, at once


def check(source: Source, data_dir: Path | str) -> None:
    """Raise `ValueError` for whatever the names and the first rows of the files show.

    Reads no more than the first row of a file; imports neither TensorFlow nor TFDS. A TFDS data
    set that a run would fetch first is passed over.
    """
    if source.function is not None:
        load_function(source.function)
    first: dict[tuple[str, str], InputFile] = {}
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
    for file in _to_open(list(first.values())):
        try:
            _CHECKS[file.format](source, file)
        except BrokenFile as error:
            raise _broken(file, 0, error) from error


def fetch(source: Source, data_dir: Path | str, log: Log) -> None:
    """Prepares the TFDS data sets that are named and not on this machine; may need the internet."""
    for split in SPLITS:
        for place in source.places(split):
            if place.startswith(TFDS):
                fetch_tfds(place, split, data_dir, log)


def digest(source: Source, data_dir: Path | str) -> dict[str, str]:
    """What stands for the content of each split in a cache key: sha256, by split.

    Taken over the sorted digests of its files, so that neither names nor their order count (but for
    those inside a TFDS folder, which say what a split is). The function is not in it: see
    `function_digest`.
    """
    return {
        split: _combined(_contents(list_files(source, split, data_dir)))
        for split in SPLITS
        if source.places(split)
    }


def read(
    source: Source, input_file: InputFile, *, stripe: int = 0, num_stripes: int = 1
) -> Iterator[Row | Reject]:
    """Every row of one file in its order: sound, or set aside with the reason.

    Of several stripes, each row is in one (see `stripes`); their union is the whole.

    `ValueError` for a file that will not do as a whole: no header or another one, no rows, cut
    short. A file that breaks off has lost an unknown number of rows, so it is no matter of rejects.
    """
    mine = Stripe(index=stripe, num_stripes=num_stripes, limit=source.max_rows_per_file)
    try:
        rows = _READERS[input_file.format](source, input_file, mine)
        if source.function is None:
            yield from cast(Iterator[Row | Reject], rows)  # `Cells` are made for a function only
        else:
            yield from called(source, input_file, rows)
    except BrokenFile as error:
        raise _broken(input_file, mine.count, error) from error
    if not mine.count:
        raise no_rows(input_file, "none")


def _to_open(found: list[InputFile]) -> Iterable[InputFile]:
    if len(found) <= MAX_CHECKED:
        return found
    first: dict[tuple[str, str], InputFile] = {}
    for file in found:
        first.setdefault((file.split, file.format), file)
    return first.values()


def _broken(file: InputFile, count: int, error: Exception) -> ValueError:
    name = NAMES[file.compression]
    return ValueError(
        f"{file.field}: {file.name} must be a whole {name} file; received one that is cut short or "
        f"damaged, after row {count} or a little later ({error}); download or compress it again"
    )


def _read_sample(source: Source, input_file: InputFile, stripe: Stripe) -> Iterator[Made]:
    from .sample.messages import messages

    pick = field_picker(source, input_file, [source.text_column, source.label_column or "label"])
    for number, message in stripe.of(enumerate(messages(), start=1)):
        yield pick(number, list(message))


def _combined(digests: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def _contents(found: Sequence[InputFile]) -> Iterator[str]:
    """What the rows of each file depend on besides the config."""
    if not any(files.is_remote(file.path) for file in found):
        return map(_content, found)
    with ThreadPoolExecutor(NUM_REQUESTS) as pool:
        return pool.map(_content, found)


def _content(file: InputFile) -> str:
    if file.format == "sample":
        from .sample.messages import messages

        whole = hashlib.sha256()
        for message in messages():
            whole.update(repr(message).encode())
        return whole.hexdigest()
    if file.format == "bigquery":
        return f"bigquery:{bigquery_identity(file)}"
    if file.format == "tfds":
        contents = [f"{path.name}:{_sha256(path)}" for path in tfds_content_files(file)]
        return f"tfds:{file.tfds_split}:{_combined([*contents, tfds_cut(file)])}"
    remote = files.is_remote(file.path)
    content = f"{file.size_bytes}:{files.checksum(file.path)}" if remote else _sha256(file.path)
    label = "" if file.label is None else f":{file.label!r}"
    return f"{file.format}{label}:{content}"


def _sha256(path: Path | str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_READERS: dict[Format, Callable[[Source, InputFile, Stripe], Iterator[Made]]] = {
    "csv": read_delimited,
    "tsv": read_delimited,
    "jsonl": read_jsonl,
    "text": read_document,
    "lines": read_plain_lines,
    "parquet": read_columnar,
    "arrow": read_columnar,
    "tfds": read_tfds,
    "bigquery": read_bigquery,
    "sample": _read_sample,
}

_CHECKS: dict[Format, Callable[[Source, InputFile], None]] = {
    "csv": check_delimited,
    "tsv": check_delimited,
    "jsonl": check_jsonl,
    "text": check_document,
    "lines": check_plain_lines,
    "parquet": check_columnar,
    "arrow": check_columnar,
    "tfds": check_tfds,
    "bigquery": check_bigquery,
    "sample": lambda source, file: None,
}
