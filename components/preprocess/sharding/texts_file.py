"""Raw texts of a shard's rows -> Parquet: id, texts, label, kept cells, in the rows' order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...example_spec import ID, LABEL, TEXT, TEXT_PAIR, kept_column
from .spill import SpilledRow

ROW_GROUP_ROWS = 4096


class TextsWriter:
    """Writes row groups of `ROW_GROUP_ROWS` or a little more."""

    def __init__(
        self,
        path: Path,
        *,
        has_text_pair: bool,
        labelled: bool,
        several: bool = False,
        kept_columns: Sequence[str] = (),
    ) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._paired, self._labelled = has_text_pair, labelled
        columns = [(ID, pa.string()), (TEXT, pa.string())]
        if has_text_pair:
            columns.append((TEXT_PAIR, pa.string()))
        if labelled:
            columns.append((LABEL, pa.list_(pa.int32()) if several else pa.int32()))
        columns += [(kept_column(name), pa.string()) for name in kept_columns]
        self._num_kept = len(kept_columns)
        self._schema = pa.schema(columns)
        # Texts seldom repeat: a dictionary costs time and gives nothing.
        self._writer = parquet.ParquetWriter(
            path, self._schema, compression="zstd", use_dictionary=False
        )
        self._columns: list[list[Any]] = [[] for _ in columns]
        self._last_id, self._repeats = "", 0

    def __enter__(self) -> TextsWriter:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self._flush()
        self._writer.close()

    def add(self, keys: list[bytes], rows: list[SpilledRow], labels: list[Any] | None) -> None:
        """Appends rows; `keys` ascend over all calls, `labels` are ids, or lists of `several`."""
        values: list[list[Any]] = [self._ids(keys), [row.text for row in rows]]
        if self._paired:
            values.append([row.text_pair for row in rows])
        if self._labelled:
            assert labels is not None
            values.append(labels)
        values += [[row.kept[at] for row in rows] for at in range(self._num_kept)]
        for column, added in zip(self._columns, values, strict=True):
            column += added
        if len(self._columns[0]) >= ROW_GROUP_ROWS:
            self._flush()

    def _ids(self, keys: list[bytes]) -> list[str]:
        """The content keys in hexadecimal; what repeats one is numbered, `-2` and so on."""
        ids = []
        for key in keys:
            content_id = key.hex()
            self._repeats = self._repeats + 1 if content_id == self._last_id else 1
            self._last_id = content_id
            ids.append(content_id if self._repeats == 1 else f"{content_id}-{self._repeats}")
        return ids

    def _flush(self) -> None:
        import pyarrow as pa

        if self._columns[0]:
            self._writer.write_table(pa.table(self._columns, schema=self._schema))
            self._columns = [[] for _ in self._columns]
