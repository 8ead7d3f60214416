"""Opening Parquet and Arrow IPC files: the same table, whatever the file. pyarrow on first use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from .. import files
from .source import InputFile

BATCH_ROWS = 1024
MAX_OTHER_BYTES = 1000  # of a cell on average; longer ones cost more to read than they tell

_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


@dataclass(frozen=True, kw_only=True)
class Table:
    """An open file: its rows come in batches of the columns that are asked for."""

    schema: Any  # pyarrow.Schema
    batches: Any  # (names of columns | None) -> iterator of pyarrow.RecordBatch
    large: frozenset[str] = frozenset()  # columns of long values, where the file says so


def open_parquet(input_file: InputFile, stack: ExitStack) -> Table:
    """Errors as of pyarrow, then and when batches are read."""
    import pyarrow.parquet as pq

    raw: Any = input_file.path
    if files.is_remote(raw):
        raw = stack.enter_context(files.reading(raw))
    file = stack.enter_context(pq.ParquetFile(raw, page_checksum_verification=True))
    large: set[str] = set()
    if file.metadata.num_row_groups:
        group = file.metadata.row_group(0)
        parts = [group.column(at) for at in range(group.num_columns)]
        most = MAX_OTHER_BYTES * max(group.num_rows, 1)
        large = {part.path_in_schema for part in parts if part.total_uncompressed_size > most}
    return Table(
        schema=file.schema_arrow,
        batches=lambda names: file.iter_batches(batch_size=BATCH_ROWS, columns=names),
        large=frozenset(large),
    )


def open_arrow(input_file: InputFile, stack: ExitStack) -> Table:
    """Either kind of Arrow IPC: a file with its index at the end, or a stream."""
    import pyarrow as pa

    raw: Any = stack.enter_context(files.reading(input_file.path))
    start = raw.read(6)
    whole = start == b"ARROW1" or not start or _has_end(raw)
    raw.seek(0)
    if not whole:
        raise pa.ArrowInvalid("the stream has no end, so it may have lost rows")
    if not files.is_remote(input_file.path):
        raw = stack.enter_context(pa.memory_map(input_file.path))
    if start == b"ARROW1":
        file = stack.enter_context(pa.ipc.open_file(raw))
        batches: Iterator[Any] = map(file.get_batch, range(file.num_record_batches))
        schema = file.schema
    else:
        stream = stack.enter_context(pa.ipc.open_stream(raw))
        batches, schema = iter(stream), stream.schema
    return Table(schema=schema, batches=lambda names: (_sound(batch, names) for batch in batches))


def _has_end(raw: Any) -> bool:
    """Whether a stream ends as its writer closed it: readers take any end of the file for one."""
    raw.seek(-min(len(_END_OF_STREAM), raw.seek(0, 2)), 2)
    return bool(raw.read() == _END_OF_STREAM)


def _sound(batch: Any, names: Sequence[str] | None) -> Any:
    """The columns `names` of a batch, all for None, looked through: nothing in them is trusted.

    Text that is not UTF-8 is none of the damage that counts here.
    """
    import pyarrow as pa

    schema = batch.schema
    places = range(len(schema)) if names is None else [schema.get_field_index(n) for n in names]
    columns = [batch.column(at) for at in places]
    for column in columns:
        _as_bytes(column).validate(full=True)
    return pa.RecordBatch.from_arrays(
        columns, schema=pa.schema([schema.field(at) for at in places])
    )


def _as_bytes(column: Any) -> Any:
    """The same array with bytes for strings, nothing copied and no place followed."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        words = _as_bytes(column.dictionary)
        words.validate(full=True)
        return pa.DictionaryArray.from_arrays(column.indices, words)
    plain = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}
    return column.view(plain[kind]) if kind in plain else column
