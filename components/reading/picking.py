"""All cells of a row -> a `Row` of those that are wanted; of a sample of rows the others too."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

from .rows import (
    NO_LABEL,
    Cells,
    Reject,
    Row,
    encodable,
    kept_cell,
    label_name,
    reject,
    row_of_strings,
    row_of_values,
    show_cr,
)
from .source import InputFile, Source

Made = Row | Reject | Cells
Others = tuple[tuple[str, str], ...]

FIRST_SAMPLED = 1000
MAX_OTHER_CHARACTERS = 100
MAX_OTHERS = 64  # columns


def is_sampled(number: int) -> bool:
    """Whether the other cells of row `number` are looked at: the first rows, then 1 in 16."""
    # Multiplicative hash (Knuth, TAOCP 3, 6.4): rows that follow a period are not missed.
    return number <= FIRST_SAMPLED or (number * 2654435761 & 0xFFFFFFFF) < 1 << 28


def field_picker(
    source: Source, input_file: InputFile, header: Sequence[str]
) -> Callable[[int, list[str]], Made]:
    """Makes rows of the fields of a delimited file, as many as `header` has."""
    name, label_map = input_file.name, source.label_map
    if source.function is not None:
        return lambda number, fields: _cells(
            source, input_file, number, dict(zip(header, map(show_cr, fields), strict=True))
        )
    at = {key: header.index(column) for key, column in source.fields().items()}
    text_at = at["text_column"]
    label_at, pair_at = at.get("label_column"), at.get("text_pair_column")
    folder_label = input_file.label
    kept_at = [header.index(column) for column in source.keep_columns]
    others_at = [(i, encodable(cell)) for i, cell in enumerate(header) if i not in at.values()]
    del others_at[MAX_OTHERS:]

    def pick(number: int, fields: list[str]) -> Row | Reject:
        others = None
        if others_at and is_sampled(number):
            others = tuple((name, _cut(show_cr(fields[i]))) for i, name in others_at)
        return row_of_strings(
            name,
            number,
            text=fields[text_at],
            text_pair=None if pair_at is None else fields[pair_at],
            label=folder_label if label_at is None else fields[label_at],
            label_map=label_map,
            label_separator=source.label_separator,
            others=others,
            kept=tuple(kept_cell(fields[i]) for i in kept_at),
        )

    return pick


def text_picker(source: Source, input_file: InputFile) -> Callable[[int, str], Made]:
    """Makes rows of texts without columns."""
    name, label, label_map = input_file.name, input_file.label, source.label_map
    if source.function is not None:
        return lambda number, text: _cells(source, input_file, number, {source.text_column: text})
    return lambda number, text: row_of_strings(
        name,
        number,
        text=text,
        text_pair=None,
        label=label,
        label_map=label_map,
        label_separator=source.label_separator,
    )


def value_picker(
    source: Source, input_file: InputFile
) -> Callable[[int, Mapping[str, object]], Made]:
    """Makes rows of typed cells by column."""
    if source.function is not None:
        return lambda number, found: _cells(source, input_file, number, dict(found))
    label = NO_LABEL if input_file.label is None else input_file.label
    return lambda number, found: row_of_mapping(
        source, input_file.name, number, found, folder_label=label
    )


def row_of_mapping(
    source: Source,
    file: str,
    number: int,
    found: Mapping[str, object],
    *,
    folder_label: object = NO_LABEL,
) -> Row | Reject:
    """A `Row` of what `found` has under the wanted names; the label from there too if wanted."""
    columns = source.fields()
    for column in (*columns.values(), *source.keep_columns):
        if column not in found:
            return reject(file, number, "missing_column", f"there is no column {column!r}")
    texts = {"text": found[source.text_column]}
    if source.text_pair_column is not None:
        texts["text pair"] = found[source.text_pair_column]
    label = found[columns["label_column"]] if "label_column" in columns else folder_label
    others = None
    if len(found) > len(columns) and is_sampled(number):
        wanted = columns.values()
        others = other_cells((name, cell) for name, cell in found.items() if name not in wanted)
    return row_of_values(
        file,
        number,
        texts=texts,
        label=label,
        max_bytes=source.max_line_bytes,
        label_map=source.label_map,
        label_separator=source.label_separator,
        others=others,
        kept=tuple(kept_cell(found[column]) for column in source.keep_columns),
    )


def other_cells(cells: Iterable[tuple[object, object]]) -> Others | None:
    """Those of the cells by column that are single values, as text; None when there are none."""
    shown = ((str(name), cell_text(cell)) for name, cell in cells)
    sound = ((encodable(name), text) for name, text in shown if text is not None)
    return tuple(itertools.islice(sound, MAX_OTHERS)) or None


def cell_text(cell: object) -> str | None:
    """One value as text, cut; "" for null; None for what is nested."""
    if isinstance(cell, list | tuple | dict | set):
        return None
    text = label_name(cell)
    return _cut(str(cell) if text is None else text)


def _cut(text: str) -> str:
    return encodable(text[:MAX_OTHER_CHARACTERS])


def _cells(source: Source, input_file: InputFile, number: int, found: dict[str, object]) -> Cells:
    """What the function gets; a label that the folder names stands in the label column."""
    if input_file.label is not None and source.label_column is not None:
        found[source.label_column] = input_file.label
    return Cells(input_file.name, number, found)
