"""Parquet files -> rows, streamed in batches. pyarrow is imported on first use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .header import require_columns
from .rows import Reject, Row, row_of_values
from .source import InputFile, Source

BATCH_ROWS = 1024


def read_parquet(source: Source, input_file: InputFile) -> Iterator[Row | Reject]:
    """Rows of a Parquet file, counted from 1; plain and dictionary columns alike."""
    number = 0
    with _opened(source, input_file) as file:
        for texts, labels, pairs in _batches(source, input_file, file):
            for text, label, pair in zip(texts, labels, pairs, strict=True):
                number += 1
                yield row_of_values(
                    input_file.name,
                    number,
                    text=text,
                    text_pair=pair,
                    label=label,
                    max_bytes=source.max_line_bytes,
                )


def check_parquet(source: Source, input_file: InputFile) -> None:
    """`ValueError` unless the schema has the wanted columns and there are rows."""
    with _opened(source, input_file) as file:
        if file.metadata.num_rows == 0:
            raise ValueError(
                f"{input_file.field}: {input_file.name} must have rows; received a Parquet file "
                "of none; give another file"
            )


@contextmanager
def _opened(source: Source, input_file: InputFile) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(input_file.path)
    except (pa.ArrowException, OSError) as error:
        raise _broken(input_file, 0, error) from error
    with file:
        names = file.schema_arrow.names
        require_columns(source, input_file, names)
        for column in source.columns():
            _require_type(source, column, file.schema_arrow.field(column).type)
        yield file


def _require_type(source: Source, column: str, kind: Any) -> None:
    """Text columns hold strings; the label column strings, integers, floats or bools."""
    import pyarrow.types as types

    value = kind.value_type if types.is_dictionary(kind) else kind
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
    if column != source.label_column:
        if not string:
            raise ValueError(
                f"preprocess.source: column {column!r} must hold strings; received {kind}; "
                "name another column"
            )
    elif not (string or types.is_integer(value) or types.is_boolean(value)) and not (
        types.is_floating(value) or types.is_null(value)
    ):
        raise ValueError(
            f"preprocess.source.label_column: column {column!r} must hold strings, integers or "
            f"bools; received {kind}; name another column"
        )


def _batches(
    source: Source, input_file: InputFile, file: Any
) -> Iterator[tuple[list[Any], list[Any], list[Any]]]:
    """Texts, labels and pairs (None without a pair column) of each batch."""
    import pyarrow as pa

    columns = list(source.columns())
    batches = file.iter_batches(batch_size=BATCH_ROWS, columns=columns)
    num_read = 0
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError) as error:
            raise _broken(input_file, num_read, error) from error
        if batch is None:
            return
        text, label, *pair = (_cells(batch.column(name)) for name in columns)
        yield text, label, pair[0] if pair else [None] * len(text)
        num_read += len(batch)


def _cells(column: Any) -> list[Any]:
    """The values of one column; as bytes where Parquet says UTF-8 and the bytes are not."""
    import pyarrow as pa

    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        return plain.cast(pa.large_binary()).to_pylist()


def _broken(input_file: InputFile, num_read: int, error: Exception) -> ValueError:
    return ValueError(
        f"{input_file.field}: {input_file.name} must be a whole Parquet file; received one that "
        f"cannot be read after row {num_read} ({str(error).strip()}); download or write it again"
    )
