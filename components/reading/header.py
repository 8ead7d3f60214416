"""Column names that a file has, against those that the config wants; says what looks wrong."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from .delimited import Record
from .rows import HIDDEN_CR
from .source import InputFile, Source

DELIMITERS = {"csv": ",", "tsv": "\t"}
MAX_SHOWN = 20  # column names in a message
MAX_NAME = 60  # characters


def require_columns(
    source: Source, input_file: InputFile, found: Sequence[str], *, hint: str = ""
) -> None:
    """`ValueError` unless `found` has each wanted column exactly once.

    What a function makes of the columns, nobody knows before it is called.
    """
    if source.function is not None:
        return
    for field, column in source.all_fields().items():
        if found.count(column) == 1:
            continue
        blame = f"preprocess.source.{field}: must be a column of {input_file.name}"
        if column in found:
            raise ValueError(
                f"{blame} once; received {column!r}, which stands there {found.count(column)} "
                "times; rename or drop the other columns"
            )
        raise ValueError(
            f"{blame}; received {column!r}, columns found: {_shown(found)}; "
            f"{hint or _nearest(column, found, field)}"
        )


def delimited_header(source: Source, input_file: InputFile, first: Record | None) -> list[str]:
    """The column names of a CSV or TSV file, whose first record is `first`."""
    blame = f"{input_file.field}: {input_file.name} must begin with a header line"
    if first is None:
        raise ValueError(f"{blame}; received an empty file; give another file")
    if first.fault is not None:
        raise ValueError(f"{blame}; received a first row that is set aside: {first.fault[1]}")
    whole = "".join(first.fields)
    if "\0" in whole:
        raise ValueError(
            f"{blame} in UTF-8; received NUL bytes; if it is UTF-16, convert it: "
            "iconv -f UTF-16 -t UTF-8"
        )
    if "\r" in whole or HIDDEN_CR in whole:
        raise ValueError(
            f"{blame} and have LF or CRLF line ends; received a lone CR; convert it: tr '\\r' '\\n'"
        )
    hint = _wrong_delimiter(first.fields, input_file) or _no_header(
        source, input_file, first.fields
    )
    require_columns(source, input_file, first.fields, hint=hint)
    return first.fields


def _wrong_delimiter(header: Sequence[str], input_file: InputFile) -> str:
    if len(header) != 1:
        return ""
    if header[0].count("\t"):
        return "wrong delimiter? the header looks tab-separated; set preprocess.source.format: tsv"
    if header[0].count(","):
        return (
            "wrong delimiter? the header looks comma-separated; set preprocess.source.format: csv"
        )
    for delimiter in ";|":
        if delimiter in header[0]:
            return (
                f"wrong delimiter? the header looks separated by {delimiter!r}; only commas (csv) "
                "and tabs (tsv) are read: convert the file"
            )
    return ""


def _no_header(source: Source, input_file: InputFile, header: Sequence[str]) -> str:
    """Names of columns are neither numbers nor sentences."""
    if any(_is_number(cell) or len(cell) > 40 for cell in header):
        columns = DELIMITERS[input_file.format].join(source.columns())
        return (
            "no header? the first line looks like data; put a line with the column names above "
            f"it, such as {columns!r}"
        )
    return ""


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _shown(found: Sequence[str]) -> str:
    """Of what is no name but a text nothing is shown: a redaction could not go by a part of it."""
    names = [
        repr(name) if len(name) <= MAX_NAME else f"a text of {len(name):,} characters"
        for name in found[:MAX_SHOWN]
    ]
    return ", ".join(names) + (", …" if len(found) > MAX_SHOWN else "")


def _nearest(column: str, found: Sequence[str], field: str) -> str:
    folded = {name.strip().lower(): name for name in found}
    near = difflib.get_close_matches(column.strip().lower(), folded, n=1, cutoff=0.5)
    if near:
        return f"did you mean {folded[near[0]]!r}?"
    return f"set preprocess.source.{field} to one of these"
