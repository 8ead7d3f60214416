"""CSV, TSV and JSON-lines files -> rows; plain or gzip-compressed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import BinaryIO

from .delimited import Record, quoted_records, unquoted_records
from .header import DELIMITERS, delimited_header, require_columns
from .lines import open_bytes, read_lines
from .rows import Reject, Row, reject, row_of_strings, row_of_values
from .source import InputFile, Source


def read_delimited(source: Source, input_file: InputFile) -> Iterator[Row | Reject]:
    """Rows of a CSV or TSV file with a header; `ValueError` for a header that will not do."""
    with open_bytes(input_file) as file:
        records = _records(source, input_file, file)
        header = delimited_header(source, input_file, next(records, None))
        text_at, label_at, *pair_at = (header.index(column) for column in source.columns())
        name, width = input_file.name, len(header)
        for number, fields, fault in records:
            if len(fields) == width:
                yield row_of_strings(
                    name,
                    number,
                    text=fields[text_at],
                    text_pair=fields[pair_at[0]] if pair_at else None,
                    label=fields[label_at],
                )
            elif fault is not None:
                yield reject(name, number, *fault)
            else:
                detail = f"{len(fields)} fields where the header has {width}"
                yield reject(name, number, "malformed_row", detail)


def check_delimited(source: Source, input_file: InputFile) -> None:
    """`ValueError` unless the header has the wanted columns and a row follows."""
    with open_bytes(input_file) as file:
        records = _records(source, input_file, file)
        delimited_header(source, input_file, next(records, None))
        if next(records, None) is None:
            raise no_rows(input_file, "nothing after the header")


def read_jsonl(source: Source, input_file: InputFile) -> Iterator[Row | Reject]:
    """Rows of a JSON-lines file: one object a line, blank lines left out."""
    with open_bytes(input_file) as file:
        for number, line in _json_lines(source, file):
            yield _json_row(source, input_file.name, number, line)


def check_jsonl(source: Source, input_file: InputFile) -> None:
    """`ValueError` unless the first line is a JSON object with the wanted keys."""
    with open_bytes(input_file) as file:
        number, line = next(_json_lines(source, file), (0, ""))
    if number == 0:
        raise no_rows(input_file, "an empty file")
    found = None if line is None else _parse(line)
    if not isinstance(found, dict):
        what = "too long" if line is None else repr(line[:60])
        raise ValueError(
            f"{input_file.field}: {input_file.name} must hold one JSON object a line; received "
            f"line {number}: {what}; convert it, or set preprocess.source.format"
        )
    require_columns(source, input_file, list(found))


def no_rows(input_file: InputFile, received: str) -> ValueError:
    """The error for a file without a single row."""
    return ValueError(
        f"{input_file.field}: {input_file.name} must have rows; received {received}; give "
        "another file, or take it out of the list"
    )


def _records(source: Source, input_file: InputFile, file: BinaryIO) -> Iterator[Record]:
    lines = read_lines(file, source.max_line_bytes)
    delimiter = DELIMITERS[input_file.format]
    quoting = source.quoting
    if quoting == "none" or (quoting == "auto" and input_file.format == "tsv"):
        return unquoted_records(lines, delimiter=delimiter)
    return quoted_records(lines, delimiter=delimiter, max_bytes=source.max_line_bytes)


def _json_lines(source: Source, file: BinaryIO) -> Iterator[tuple[int, str | None]]:
    for number, line in enumerate(read_lines(file, source.max_line_bytes), start=1):
        if line is None or line.strip(" \t\r\n"):
            yield number, line


def _json_row(source: Source, name: str, number: int, line: str | None) -> Row | Reject:
    if line is None:
        detail = "the line is longer than preprocess.source.max_line_bytes"
        return reject(name, number, "line_too_long", detail)
    found = _parse(line)
    if not isinstance(found, dict):
        what = found if isinstance(found, str) else "the line is no JSON object"
        return reject(name, number, "malformed_json", what)
    for column in source.columns():
        if column not in found:
            return reject(name, number, "missing_column", f"the object has no key {column!r}")
    pair = None if source.text_pair_column is None else found[source.text_pair_column]
    return row_of_values(
        name,
        number,
        text=found[source.text_column],
        text_pair=pair,
        label=found[source.label_column],
        max_bytes=source.max_line_bytes,
    )


def _parse(line: str) -> object:
    """The value of one line, or what is wrong with it as a string."""
    try:
        value = json.loads(line)
    # json raises ValueError for integers of thousands of digits, RecursionError for deep nesting.
    except (ValueError, RecursionError) as error:
        return f"the line is not JSON: {error}"
    return "the line is a JSON string" if isinstance(value, str) else value
