"""Parquet and Arrow IPC files -> rows, streamed in batches. pyarrow is imported on first use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from .header import require_columns
from .picking import MAX_OTHERS, Made, is_sampled, other_cells, value_picker
from .rows import NO_LABEL, kept_cell, row_of_values
from .source import InputFile, Source
from .stripes import Stripe
from .tables import Table, open_arrow, open_parquet
from .text_files import no_rows

NAMES = {"parquet": "Parquet", "arrow": "Arrow IPC"}


def read_columnar(source: Source, input_file: InputFile, stripe: Stripe) -> Iterator[Made]:
    """Rows of a Parquet or Arrow file, counted from 1; plain and dictionary columns alike."""
    with _opened(source, input_file) as table:
        names = (
            None if source.function else [*source.all_fields().values(), *_others(source, table)]
        )
        for batch in _batches(input_file, table, names, stripe):
            start = stripe.count
            for first, num_rows in stripe.parts(len(batch)):
                part = batch.slice(first, num_rows)
                if source.function is None:
                    yield from _rows(source, input_file, part, start + first + 1)
                else:
                    yield from _cells_of(source, input_file, part, start + first + 1)


def check_columnar(source: Source, input_file: InputFile) -> None:
    """`ValueError` unless the schema has the wanted columns and there are rows."""
    with _opened(source, input_file) as table:
        names = None if source.function else [*source.all_fields().values()]
        batches = _batches(input_file, table, names, Stripe())
        if not any(map(len, batches)):
            raise no_rows(input_file, f"{NAMES[input_file.format]} of none")


def _rows(source: Source, input_file: InputFile, part: Any, number: int) -> Iterator[Made]:
    """Rows of a batch whose first is row `number`; the wanted columns stand first in it."""
    wanted = source.fields()
    columns = {key: _values(part.column(at)) for at, key in enumerate(wanted)}
    texts = columns["text_column"]
    nothing = [NO_LABEL if input_file.label is None else input_file.label] * len(texts)
    labels = columns.get("label_column", nothing)
    pairs = columns.get("text_pair_column")
    others = list(zip(part.schema.names, part.columns, strict=True))[len(wanted) :]
    kept = [_values(column) for _, column in others[: len(source.keep_columns)]]
    for at, (text, label) in enumerate(zip(texts, labels, strict=True)):
        sampled = others and is_sampled(number + at)
        yield row_of_values(
            input_file.name,
            number + at,
            texts={"text": text} if pairs is None else {"text": text, "text pair": pairs[at]},
            label=label,
            max_bytes=source.max_line_bytes,
            label_map=source.label_map,
            label_separator=source.label_separator,
            others=other_cells(_cells_at(others, at)) if sampled else None,
            kept=tuple(kept_cell(column[at]) for column in kept),
        )


def _cells_of(source: Source, input_file: InputFile, part: Any, number: int) -> Iterator[Made]:
    """All columns of each row, for a function."""
    pick = value_picker(source, input_file)
    names = part.schema.names
    columns = [_values(column) for column in part.columns]
    for at, cells in enumerate(zip(*columns, strict=True)):
        yield pick(number + at, dict(zip(names, cells, strict=True)))


def _cells_at(columns: list[tuple[str, Any]], at: int) -> Iterator[tuple[str, Any]]:
    for name, column in columns:
        yield name, _values(column.slice(at, 1))[0]


def _others(source: Source, table: Table) -> list[str]:
    """Columns of single short values beside the wanted ones."""
    import pyarrow.types as types

    names = table.schema.names
    return [
        field.name
        for field in table.schema
        if field.name not in source.all_fields().values()
        and names.count(field.name) == 1
        and field.name not in table.large
        and not types.is_nested(_value_type(field.type))
        and not types.is_null(field.type)
    ][:MAX_OTHERS]


def _values(column: Any) -> list[Any]:
    """The values of one column; as bytes where Arrow says UTF-8 and the bytes are not."""
    import pyarrow as pa

    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        return plain.cast(pa.large_binary()).to_pylist()


@contextmanager
def _opened(source: Source, input_file: InputFile) -> Iterator[Table]:
    import pyarrow as pa

    open_table = open_parquet if input_file.format == "parquet" else open_arrow
    with ExitStack() as stack:
        try:
            table = open_table(input_file, stack)
        except (pa.ArrowException, OSError) as error:
            raise _broken(input_file, 0, error) from error
        require_columns(source, input_file, table.schema.names)
        if source.function is None:
            for key, column in source.fields().items():
                lists = key == "label_column" and source.label_separator is not None
                _require_type(key, column, table.schema.field(column).type, lists=lists)
        yield table


def _batches(
    input_file: InputFile, table: Table, names: Sequence[str] | None, stripe: Stripe
) -> Iterator[Any]:
    """The batches of columns `names`, until no row is wanted any more."""
    import pyarrow as pa

    try:
        batches = iter(table.batches(names))
        while not stripe.is_over and (batch := next(batches, None)) is not None:
            yield batch
    except (pa.ArrowException, OSError) as error:
        raise _broken(input_file, stripe.count, error) from error


def _require_type(key: str, column: str, kind: Any, *, lists: bool) -> None:
    """Text columns hold strings; the label column strings, integers, floats or bools, or `lists`
    of them."""
    import pyarrow.types as types

    value = _value_type(kind)
    if lists and (types.is_list(value) or types.is_large_list(value)):
        value = _value_type(value.value_type)
    string = any(
        matches(value)
        for matches in (
            types.is_string,
            types.is_large_string,
            types.is_string_view,
            types.is_binary,
            types.is_large_binary,
        )
    )
    if key != "label_column":
        if not string:
            raise ValueError(
                f"preprocess.source.{key}: column {column!r} must hold strings; received {kind}; "
                "name another column"
            )
    elif not (string or types.is_integer(value) or types.is_boolean(value)) and not (
        types.is_floating(value) or types.is_null(value)
    ):
        raise ValueError(
            f"preprocess.source.label_column: column {column!r} must hold strings, integers or "
            f"bools; received {kind}; name another column"
        )


def _value_type(kind: Any) -> Any:
    import pyarrow.types as types

    return kind.value_type if types.is_dictionary(kind) else kind


def _broken(input_file: InputFile, num_read: int, error: Exception) -> ValueError:
    name = NAMES[input_file.format]
    return ValueError(
        f"{input_file.field}: {input_file.name} must be a whole {name} file; received one that "
        f"cannot be read after row {num_read} ({str(error).strip()}); download or write it again"
    )
