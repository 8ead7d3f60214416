"""One row of a source, or why it was set aside. Pure; shared by every reader."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

from ..label_sets import cell_of

Reason = Literal[
    "undecodable",  # the text, pair or label is not UTF-8
    "nul_byte",  # a NUL in it: binary data or UTF-16, not text
    "line_too_long",  # more bytes than max_line_bytes
    "malformed_quote",  # a quote is not closed, or text follows a closing quote
    "malformed_row",  # more or fewer fields than the header has
    "malformed_json",  # the line is not one JSON object
    "missing_column",  # the JSON object, or what the function gave, lacks a wanted key
    "wrong_type",  # the text is not a string, or the label neither string, integer nor bool
    "missing_label",  # null, blank, or TFDS's -1
    "empty_text",  # null; or nothing left after cleaning
    "unknown_label",  # not among the label names
    "function_failed",  # the user's function raised, or gave what is no row
    # Of prediction:
    "missing_id",  # null or blank
    "missing_entity",  # null or blank
    "bad_time",  # of an event: no time, or one to come
    "too_late",  # the window of the event is closed for good
    "cut_off",  # a line of a file that is followed had no end yet, and is no whole event
    "model_failed",  # the model raised for this row alone, or gave no number
    # No faults of the data, so no part of the share that may be rejected:
    "dropped_by_function",  # the user's function left it out
    "duplicate",  # another row of the split has the same text
    "near_duplicate",  # or nearly the same
    "in_validation",  # a row of train that validation has too
    "near_validation",  # or nearly
    "in_test",  # or test
    "near_test",
]

MAX_DETAIL = 200  # characters of a reject's detail as it is written
MAX_KEPT = 10_000  # and until then: what is cut off could be what a redaction goes by

# The CSV parser takes a lone CR for a line end. It is text to us, so it travels as a code point
# that neither UTF-8 nor surrogateescape (U+DC80..U+DCFF) can produce.
HIDDEN_CR = "\udc0d"


class Row(NamedTuple):
    """One text as it stands in its file, not cleaned."""

    file: str  # as people name it: relative to data_dir
    row: int  # line on which the row starts (CSV, TSV, JSON lines), else the row; both from 1
    text: str
    text_pair: str | None  # None when the source has no pair column
    # Name or id as in the cell, white space around it removed; "" without labels; of multi-label
    # data as `label_sets.cell_of` writes it.
    label: str
    # Other columns and their cells as text, for a sample of the rows only.
    others: tuple[tuple[str, str], ...] | None = None
    kept: tuple[str, ...] = ()  # cells of `keep_columns`, see `kept_cell`


class Cells(NamedTuple):
    """One row before the user's function: all its columns, in plain Python values."""

    file: str
    row: int
    values: dict[str, object]


class Reject(NamedTuple):
    """One row that was set aside."""

    file: str
    row: int  # counted as in `Row`
    reason: Reason
    detail: str


def reject(file: str, row: int, reason: Reason, detail: str) -> Reject:
    """A `Reject` whose detail can be written as UTF-8. It may show what a row holds: see
    `rejects.private`.
    """
    return Reject(file, row, reason, encodable(detail[:MAX_KEPT]))


def cut(text: str, length: int = MAX_DETAIL) -> str:
    """At most so many characters; an ellipsis says that there were more."""
    return text if len(text) <= length else text[: length - 1] + "…"


def row_of_strings(
    file: str,
    row: int,
    *,
    text: str,
    text_pair: str | None,
    label: str | None,
    label_map: Mapping[str, str] | None = None,
    label_separator: str | None = None,
    others: tuple[tuple[str, str], ...] | None = None,
    kept: tuple[str, ...] = (),
) -> Row | Reject:
    """A `Row`, when its strings are sound text. `label`: None where the source has no labels.

    Strings were decoded with `surrogateescape`: a lone surrogate stands for a byte that is not
    UTF-8. This runs once a row; `isascii` costs nothing.
    """
    if label is not None and label_separator is not None:
        names = (name.strip() for name in label.split(label_separator))
        label = cell_of(((label_map or {}).get(n, n) for n in names if n), label_separator)
    elif label is not None:
        label = label.strip()
        if label_map is not None:
            label = label_map.get(label, label)
        if not label:
            return reject(file, row, "missing_label", "the label is empty")
    label = label or ""
    if not (text.isascii() and label.isascii() and (text_pair is None or text_pair.isascii())):
        text, label = show_cr(text), show_cr(label)
        text_pair = None if text_pair is None else show_cr(text_pair)
        for name, value in (("text", text), ("text pair", text_pair), ("label", label)):
            problem = "" if value is None else _undecodable(value)
            if problem:
                return reject(file, row, "undecodable", f"the {name} is not UTF-8: {problem}")
    if "\0" in text or "\0" in label or (text_pair is not None and "\0" in text_pair):
        return reject(file, row, "nul_byte", "a NUL byte: binary data or UTF-16, not text")
    return Row(file, row, text, text_pair, label, others, kept)


def row_of_values(
    file: str,
    row: int,
    *,
    texts: Mapping[str, object],
    label: object,
    max_bytes: int,
    label_map: Mapping[str, str] | None = None,
    label_separator: str | None = None,
    others: tuple[tuple[str, str], ...] | None = None,
    kept: tuple[str, ...] = (),
) -> Row | Reject:
    """A `Row` of typed cells (JSON, Parquet, TFDS), when their types and sizes allow.

    `texts` by what they are, "text" and perhaps "text pair": strings or UTF-8 bytes. Labels are
    strings, integers, whole floats (integers that met a null in pandas) or bools, which become
    `true` and `false`; `NO_LABEL` where the source has none. With a `label_separator` a list of
    such is a label, too.
    """
    sound: dict[str, str] = {}
    for name, value in texts.items():
        if isinstance(value, bytes):
            value = value.decode("utf-8", "surrogateescape")
        if is_null(value):
            return reject(file, row, "empty_text", f"the {name} is null")
        if not isinstance(value, str):
            detail = f"the {name} must be a string; received {type(value).__name__}"
            return reject(file, row, "wrong_type", detail)
        if _num_bytes_over(value, max_bytes):
            detail = f"the {name} is longer than preprocess.source.max_line_bytes"
            return reject(file, row, "line_too_long", detail)
        sound[name] = value
    named = None if label is NO_LABEL else _label_cell(label, label_separator)
    if named is None and label is not NO_LABEL:
        wanted = "a string, integer or bool"
        if label_separator is not None:
            wanted += f", or a list of such without {label_separator!r} in them"
        detail = f"the label must be {wanted}; received {label!r}"
        return reject(file, row, "wrong_type", detail)
    return row_of_strings(
        file,
        row,
        text=sound["text"],
        text_pair=sound.get("text pair"),
        label=named,
        label_map=label_map,
        label_separator=label_separator,
        others=others,
        kept=kept,
    )


NO_LABEL = object()


def is_null(value: object) -> bool:
    """Null, or NaN, which pandas writes in its place."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def label_name(label: object) -> str | None:
    """A typed label as a string; "" for null and NaN; None when it is no label."""
    if isinstance(label, bytes):
        label = label.decode("utf-8", "surrogateescape")
    if isinstance(label, str):
        return label
    if is_null(label):
        return ""
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, int) or (isinstance(label, float) and label.is_integer()):
        return str(int(label))
    return None


def _label_cell(label: object, separator: str | None) -> str | None:
    """As `label_name`; the labels of a list with `separator` between them."""
    if separator is not None and getattr(label, "ndim", 0) == 1:  # an array of TFDS
        label = label.tolist()  # type: ignore[attr-defined]
    if separator is None or not isinstance(label, list | tuple):
        return label_name(label)
    names = [label_name(one) for one in label]
    if any(name is None or separator in name for name in names):
        return None
    return separator.join(name for name in names if name)


def kept_cell(cell: object) -> str:
    """A cell as text that can be stored: "" for null, the words of Python for what is nested."""
    named = label_name(cell)
    text = str(cell) if named is None else named
    return encodable(show_cr(text[:MAX_KEPT]).replace("\0", "\ufffd"))


def encodable(text: str) -> str:
    """`text` with a question mark for each lone surrogate, so that it can be written."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def show_cr(value: str) -> str:
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
