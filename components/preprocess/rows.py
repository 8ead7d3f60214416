"""One row of a source, or why it was set aside. Pure; shared by every reader."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

Reason = Literal[
    "undecodable",  # the text, pair or label is not UTF-8
    "nul_byte",  # a NUL in it: binary data or UTF-16, not text
    "line_too_long",  # more bytes than max_line_bytes
    "malformed_quote",  # a quote is not closed, or text follows a closing quote
    "malformed_row",  # more or fewer fields than the header has
    "malformed_json",  # the line is not one JSON object
    "missing_column",  # the JSON object lacks a wanted key
    "wrong_type",  # the text is not a string, or the label neither string, integer nor bool
    "missing_label",  # null, blank, or TFDS's -1
    "empty_text",  # null; or nothing left after cleaning
    "unknown_label",  # not among the label names
]

MAX_DETAIL = 200  # characters

# The CSV parser takes a lone CR for a line end. It is text to us, so it travels as a code point
# that neither UTF-8 nor surrogateescape (U+DC80..U+DCFF) can produce.
HIDDEN_CR = "\udc0d"


class Row(NamedTuple):
    """One labelled text as it stands in its file, not cleaned."""

    file: str  # as people name it: relative to data_dir
    row: int  # line on which the row starts (CSV, TSV, JSON lines), else the row; both from 1
    text: str
    text_pair: str | None  # None when the source has no pair column
    label: str  # name or id as in the cell, white space around it removed


class Reject(NamedTuple):
    """One row that was set aside."""

    file: str
    row: int  # counted as in `Row`
    reason: Reason
    detail: str  # at most 200 characters


def reject(file: str, row: int, reason: Reason, detail: str) -> Reject:
    """A `Reject` whose detail is cut to `MAX_DETAIL` characters."""
    if len(detail) > MAX_DETAIL:
        detail = detail[: MAX_DETAIL - 1] + "…"
    return Reject(file, row, reason, detail)


def row_of_strings(
    file: str, row: int, *, text: str, text_pair: str | None, label: str
) -> Row | Reject:
    """A `Row`, when its strings are sound text.

    Strings were decoded with `surrogateescape`: a lone surrogate stands for a byte that is not
    UTF-8. This runs once a row; `isascii` costs nothing.
    """
    label = label.strip()
    if not label:
        return reject(file, row, "missing_label", "the label is empty")
    if not (text.isascii() and label.isascii() and (text_pair is None or text_pair.isascii())):
        text, label = _show_cr(text), _show_cr(label)
        text_pair = None if text_pair is None else _show_cr(text_pair)
        for name, value in (("text", text), ("text pair", text_pair), ("label", label)):
            problem = "" if value is None else _undecodable(value)
            if problem:
                return reject(file, row, "undecodable", f"the {name} is not UTF-8: {problem}")
    if "\0" in text or "\0" in label or (text_pair is not None and "\0" in text_pair):
        return reject(file, row, "nul_byte", "a NUL byte: binary data or UTF-16, not text")
    return Row(file, row, text, text_pair, label)


def row_of_values(
    file: str, row: int, *, text: object, text_pair: object, label: object, max_bytes: int
) -> Row | Reject:
    """A `Row` of typed cells (JSON, Parquet, TFDS), when their types and sizes allow.

    Texts are strings or UTF-8 bytes. Labels are strings, integers, whole floats (integers that
    met a null in pandas) or bools, which become `true` and `false`.
    """
    texts: list[str | None] = []
    for name, value in (("text", text), ("text pair", text_pair)):
        if isinstance(value, bytes):
            value = value.decode("utf-8", "surrogateescape")
        if value is not None and not isinstance(value, str):
            detail = f"the {name} must be a string; received {type(value).__name__}"
            return reject(file, row, "wrong_type", detail)
        if value is not None and _num_bytes_over(value, max_bytes):
            detail = f"the {name} is longer than preprocess.source.max_line_bytes"
            return reject(file, row, "line_too_long", detail)
        texts.append(value)
    first, pair = texts
    if first is None:
        return reject(file, row, "empty_text", "the text is null")
    named = label_name(label)
    if named is None:
        return reject(
            file,
            row,
            "wrong_type",
            f"the label must be a string, integer or bool; received {label!r}",
        )
    return row_of_strings(file, row, text=first, text_pair=pair, label=named)


def label_name(label: object) -> str | None:
    """A typed label as a string; "" for null and NaN; None when it is no label."""
    if isinstance(label, bytes):
        label = label.decode("utf-8", "surrogateescape")
    if isinstance(label, str):
        return label
    if label is None or (isinstance(label, float) and math.isnan(label)):
        return ""
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, int) or (isinstance(label, float) and label.is_integer()):
        return str(int(label))
    return None


def _show_cr(value: str) -> str:
    return value.replace(HIDDEN_CR, "\r")


def _num_bytes_over(value: str, max_bytes: int) -> bool:
    if len(value) * 4 <= max_bytes:
        return False
    return len(value.encode("utf-8", "surrogatepass")) > max_bytes


def _undecodable(value: str) -> str:
    """What cannot be UTF-8 in `value`, with the byte's place in the cell; "" when all can."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(value[error.start])
        if not 0xDC80 <= code <= 0xDCFF:
            return f"a lone surrogate \\u{code:04x}"
        place = len(value[: error.start].encode("utf-8"))
        return f"byte 0x{code - 0xDC00:02x} at byte {place}; was it written as latin-1 or cp1252?"
    return ""
