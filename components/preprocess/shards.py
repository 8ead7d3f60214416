"""Spilled rows of one range of keys -> TFRecord file, Parquet file of texts, and their facts."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..example_spec import LABEL, SEGMENT_IDS, TEXT, TEXT_PAIR, TOKEN_IDS
from .batching import batches
from .facts import RejectsFile, ShardFacts, ShardTask
from .records import encode_examples
from .rejects import write_rejects
from .rows import Reject, reject
from .spill import SpilledRow, read_sorted

ROW_GROUP_ROWS = 4096


class Tokens(NamedTuple):
    """Tokenised rows as numpy arrays; values row after row."""

    token_ids: Any  # int32 (N,)
    segment_ids: Any | None  # int32 (N,); None without text pairs
    row_lengths: Any  # int64 (B,)
    truncated: Any  # bool (B,)


Tokenize = Callable[[list[SpilledRow]], Tokens]


def write_shard(
    task: ShardTask,
    *,
    label_ids: Mapping[str, int],
    num_labels: int,
    sequence_length: int,
    has_text_pair: bool,
    tokenize: Tokenize,
    workdir: Path,
    scratch: Path,
) -> ShardFacts:
    """Rows whose label is unknown are rejected; the others are written in the order of their keys.

    Files appear under their names only when they are whole, so that two attempts do not mix.
    """
    part = f"{task.keys.index:05d}-of-{task.keys.count:05d}"
    records_file = f"{task.split}/shard-{part}.tfrecord"
    texts_file = f"{task.split}/texts-{part}.parquet"
    (workdir / task.split).mkdir(exist_ok=True)
    rejects: list[Reject] = []
    counts = _Counts(num_labels, sequence_length)
    rows = _known(read_sorted(task.spill_files, task.keys), label_ids, rejects)
    with (
        _appearing(workdir / records_file) as records_path,
        _appearing(workdir / texts_file) as texts_path,
        _record_writer(records_path) as records,
        _TextsWriter(texts_path, has_text_pair) as texts,
    ):
        for batch in batches(rows, lambda row: len(row.cleaned) + len(row.cleaned_pair or "")):
            labels = [label_ids[row.label] for row in batch]
            tokens = tokenize(batch)
            for example in encode_examples(_features(labels, tokens)):
                records.write(example)
            texts.add(batch, labels)
            counts.add(labels, tokens)
    path = workdir / records_file
    with open(path, "rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
    return ShardFacts(
        split=task.split,
        index=task.keys.index,
        records_file=records_file,
        texts_file=texts_file,
        size_bytes=path.stat().st_size,
        sha256=sha256,
        rejects=_write_sorted(rejects, scratch),
        **counts.facts(),
    )


def _known(
    rows: Iterable[SpilledRow], label_ids: Mapping[str, int], rejects: list[Reject]
) -> Iterator[SpilledRow]:
    names = ", ".join(sorted(label_ids)[:20])
    for row in rows:
        if row.label in label_ids:
            yield row
        else:
            detail = f"{row.label!r} is not among the labels {names}"
            rejects.append(reject(row.file, row.row, "unknown_label", detail))


def _write_sorted(rejects: list[Reject], scratch: Path) -> RejectsFile | None:
    return write_rejects(sorted(rejects), scratch) if rejects else None


def _features(labels: list[int], tokens: Tokens) -> dict[str, tuple[Any, Any]]:
    """The columns of a batch, sorted by name as deterministic protobuf would."""
    import numpy as np

    features = {LABEL: (np.asarray(labels), np.ones(len(labels), np.int64))}
    if tokens.segment_ids is not None:
        features[SEGMENT_IDS] = tokens.segment_ids, tokens.row_lengths
    return features | {TOKEN_IDS: (tokens.token_ids, tokens.row_lengths)}


class _Counts:
    """Facts of the rows written so far."""

    def __init__(self, num_labels: int, sequence_length: int) -> None:
        import numpy as np

        self._labels = np.zeros(num_labels, np.int64)
        self._lengths = np.zeros(sequence_length + 1, np.int64)
        self._num_truncated = 0

    def add(self, labels: list[int], tokens: Tokens) -> None:
        import numpy as np

        self._labels += np.bincount(labels, minlength=len(self._labels))
        self._lengths += np.bincount(tokens.row_lengths, minlength=len(self._lengths))
        self._num_truncated += int(tokens.truncated.sum())

    def facts(self) -> dict[str, Any]:
        lengths = self._lengths.tolist()
        return {
            "num_examples": sum(lengths),
            "num_tokens": sum(length * count for length, count in enumerate(lengths)),
            "num_truncated": self._num_truncated,
            "label_counts": tuple(self._labels.tolist()),
            "length_counts": tuple(lengths),
        }


def _record_writer(path: Path) -> Any:
    import tensorflow as tf

    return tf.io.TFRecordWriter(str(path))


class _TextsWriter:
    """Raw texts and label ids of the rows, in row groups."""

    def __init__(self, path: Path, has_text_pair: bool) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        columns = [(TEXT, pa.string())]
        if has_text_pair:
            columns.append((TEXT_PAIR, pa.string()))
        self._schema = pa.schema([*columns, (LABEL, pa.int32())])
        # Texts seldom repeat: a dictionary costs time and gives nothing.
        self._writer = parquet.ParquetWriter(
            path, self._schema, compression="zstd", use_dictionary=False
        )
        self._rows: list[tuple[Any, ...]] = []

    def __enter__(self) -> _TextsWriter:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self._flush()
        self._writer.close()

    def add(self, rows: list[SpilledRow], labels: list[int]) -> None:
        paired = TEXT_PAIR in self._schema.names
        for row, label in zip(rows, labels, strict=True):
            texts = (row.text, row.text_pair) if paired else (row.text,)
            self._rows.append((*texts, label))
        if len(self._rows) >= ROW_GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            columns = [list(column) for column in zip(*self._rows, strict=True)]
            self._writer.write_table(pa.table(columns, schema=self._schema))
            self._rows.clear()


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A name to write to; the file gets its own when all went well."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    yield temporary
    os.replace(temporary, path)
