"""CSV, TSV, JSON-lines and plain text files -> rows; compressed or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import BinaryIO

from .delimited import Record, quoted_records, unquoted_records
from .header import DELIMITERS, delimited_header, require_columns
from .lines import TOO_LONG, open_bytes, read_lines, written_lines
from .picking import Made, field_picker, text_picker, value_picker
from .rows import reject
from .source import InputFile, Source
from .stripes import Stripe


def read_delimited(source: Source, input_file: InputFile, stripe: Stripe) -> Iterator[Made]:
    """Rows of a CSV or TSV file with a header; `ValueError` for a header that will not do."""
    with open_bytes(input_file) as file:
        records = _records(source, input_file, file)
        header = delimited_header(source, input_file, next(records, None))
        pick = field_picker(source, input_file, header)
        name, width = input_file.name, len(header)
        for number, fields, fault in stripe.of(records):
            if len(fields) == width:
                yield pick(number, fields)
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


def read_jsonl(source: Source, input_file: InputFile, stripe: Stripe) -> Iterator[Made]:
    """Rows of a JSON-lines file: one object a line, blank lines left out."""
    name, pick = input_file.name, value_picker(source, input_file)
    with open_bytes(input_file) as file:
        for number, line in stripe.of(written_lines(file, source.max_line_bytes)):
            if line is None:
                yield reject(name, number, "line_too_long", TOO_LONG)
                continue
            found = _parse(line)
            if isinstance(found, dict):
                yield pick(number, found)
            else:
                what = found if isinstance(found, str) else "the line is no JSON object"
                yield reject(name, number, "malformed_json", what)


def check_jsonl(source: Source, input_file: InputFile) -> None:
    """`ValueError` unless the first line is a JSON object with the wanted keys."""
    with open_bytes(input_file) as file:
        number, line = next(written_lines(file, source.max_line_bytes), (0, ""))
    if number == 0:
        raise no_rows(input_file, "an empty file")
    found = TOO_LONG if line is None else _parse(line)
    if not isinstance(found, dict):
        what = found if isinstance(found, str) else "the line is no JSON object"
        raise ValueError(
            f"{input_file.field}: {input_file.name} must hold one JSON object a line; received "
            f"line {number}: {what}; convert it, or set preprocess.source.format"
        )
    require_columns(source, input_file, list(found))


def read_plain_lines(source: Source, input_file: InputFile, stripe: Stripe) -> Iterator[Made]:
    """A row for each line that is not blank, without its end."""
    name, pick = input_file.name, text_picker(source, input_file)
    with open_bytes(input_file) as file:
        for number, line in stripe.of(written_lines(file, source.max_line_bytes)):
            if line is None:
                yield reject(name, number, "line_too_long", TOO_LONG)
            else:
                yield pick(number, line.removesuffix("\n").removesuffix("\r"))


def check_plain_lines(source: Source, input_file: InputFile) -> None:
    """`ValueError` unless there is a line."""
    with open_bytes(input_file) as file:
        if next(written_lines(file, source.max_line_bytes), None) is None:
            raise no_rows(input_file, "an empty file")


def read_document(source: Source, input_file: InputFile, stripe: Stripe) -> Iterator[Made]:
    """The whole file as one row: row 1."""
    name, most = input_file.name, source.max_line_bytes
    with open_bytes(input_file) as file:
        for content in stripe.of([file.read(most + 1)]):
            if len(content) > most:
                detail = "the file is longer than preprocess.source.max_line_bytes"
                yield reject(name, 1, "line_too_long", detail)
            elif not content.strip():
                yield reject(name, 1, "empty_text", "the file is empty")
            else:
                text = content.decode("utf-8-sig", "surrogateescape")
                yield text_picker(source, input_file)(1, text)


def check_document(source: Source, input_file: InputFile) -> None:
    """`ValueError` unless the file begins as text does."""
    with open_bytes(input_file):
        pass


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


def _parse(line: str) -> object:
    """The value of one line, or what is wrong with it as a string."""
    try:
        value = json.loads(line)
    # json raises ValueError for integers of thousands of digits, RecursionError for deep nesting.
    except (ValueError, RecursionError) as error:
        return f"the line is not JSON: {error}"
    return "the line is a JSON string" if isinstance(value, str) else value
