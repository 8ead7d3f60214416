"""Shards -> batches: int32 features, labels and weights, full ones of a few shapes.

The order of the rows is a function of seed and epoch only, and not of how often somebody asked for
an iterator: the number of replicas must not change it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from .. import files
from ..batches import num_tokens, parse_examples
from ..contracts import Split
from ..example_spec import SHARDS_READ_AT_ONCE, TOKEN_IDS
from .buckets import BUCKET

_ROWS_A_TURN = 16  # read from one file before the next one has its turn
_ROWS_A_CHUNK = 1024  # measured at a time
_BATCHES_AT_ONCE = min(8, os.cpu_count() or 1)  # parsed


def training_batches(
    split: Split,
    folder: str | Path,
    *,
    lengths: Sequence[int],
    rows: Sequence[int],
    shape_rows: Sequence[int],
    has_text_pair: bool,
    shuffle_rows: int,
    num_steps: int,
    epochs: int,
    seed: int,
    start: tuple[int, int] = (0, 0),
    share: tuple[int, int] = (0, 1),
    label_width: int | None = None,
) -> Any:
    """Every epoch after the other, each reshuffled and `num_steps` batches long.

    Elements: features int32 `(B, L)`, labels int32 `(B,)`, or `(B, label_width)` of 1 and 0 where
    a row has several, weights float32 `(B,)`; L is one of `lengths`, B that of `shape_rows` for it.
    A batch takes the number of `rows` for its width, the last of a bucket fewer; rows of weight 0,
    which repeat one of it, fill it up.

    Args:
        start: epoch and batch to begin with. What is before it is the same with any start: its
            rows are read, but not parsed.
        share: index and number of the hosts that read; see `_share`. `rows` and `shape_rows` are
            those of a host.

    An epoch of more batches than `num_steps` raises a `tf.errors.OpError` when it is read, and so
    does one of fewer where one host reads all. Of several, those that have fewer rows go on with
    batches of weight 0.
    """
    names, kept = _share(split, folder, share)

    def epoch_chunks(epoch: tf.Tensor) -> Any:
        # Far apart, so that two runs with neighbouring seeds do not share epochs.
        epoch_seed = tf.constant(seed, tf.int64) * 1_000_003 + epoch
        shuffled_names = tf.data.Dataset.from_tensor_slices(names).shuffle(
            len(names), seed=epoch_seed, reshuffle_each_iteration=False
        )
        examples = kept(_read(shuffled_names, len(names)))
        shuffled = examples.shuffle(shuffle_rows, seed=epoch_seed, reshuffle_each_iteration=False)
        return _exactly(num_steps, _chunks(shuffled, lengths, rows), examples, len(rows), share)

    first_epoch, first_batch = start
    chunks = tf.data.Dataset.range(first_epoch, epochs).flat_map(epoch_chunks).skip(first_batch)
    return _finished(chunks, lengths, shape_rows, has_text_pair, label_width)


def validation_batches(
    split: Split,
    folder: str | Path,
    *,
    lengths: Sequence[int],
    rows: Sequence[int],
    shape_rows: Sequence[int],
    has_text_pair: bool,
    num_steps: int,
    share: tuple[int, int] = (0, 1),
    label_width: int | None = None,
) -> Any:
    """One pass in the order of the shards; elements as of `training_batches`."""
    names, kept = _share(split, folder, share)
    examples = kept(_read(tf.data.Dataset.from_tensor_slices(names), 1))
    chunks = _exactly(num_steps, _chunks(examples, lengths, rows), examples, len(rows), share)
    return _finished(chunks, lengths, shape_rows, has_text_pair, label_width)


def records(split: Split, folder: str | Path) -> Any:
    """Serialised rows as the shards hold them, read as a training reads them."""
    names, _ = _share(split, folder, (0, 1))
    return _read(tf.data.Dataset.from_tensor_slices(names), len(names))


def repeated_batch(batches: Any, length: int) -> Any:
    """The first of `batches` that is `length` wide, again and again."""
    fitting = batches.filter(lambda features, *_: tf.shape(features[TOKEN_IDS])[1] == length)
    return fitting.take(1).cache().repeat()


def in_one_shape(
    batches: Any, *, lengths: Sequence[int], rows: Sequence[int], num_parts: int = 1
) -> Any:
    """Batches of several buckets -> all of one shape, for one program that reads them all.

    Features become flat, with zeros after the last row; labels and weights are as many as those of
    the bucket of most rows; `BUCKET`, int32 `(num_parts,)`, is the index of the bucket. Each of the
    `num_parts` parts that replicas take of a batch is filled up for itself. One bucket: as it is.
    """
    if len(lengths) == 1:
        return batches
    most_rows = max(rows) // num_parts
    most_positions = max(n * width for n, width in zip(rows, lengths, strict=True)) // num_parts

    def filled(x: tf.Tensor, size: int, *rest: int) -> tf.Tensor:
        parts = tf.reshape(x, [num_parts, -1, *rest])
        full = tf.pad(parts, [[0, 0], [0, size - tf.shape(parts)[1]], *[[0, 0] for _ in rest]])
        return tf.ensure_shape(tf.reshape(full, [-1, *rest]), [num_parts * size, *rest])

    def fill(features: Any, labels: Any, weights: Any) -> tuple[Any, tf.Tensor, tf.Tensor]:
        bucket = tf.searchsorted(lengths, [tf.shape(features[TOKEN_IDS])[1]])
        features = {name: filled(x, most_positions) for name, x in features.items()}
        features[BUCKET] = tf.repeat(bucket, num_parts)
        features[BUCKET].set_shape([num_parts])
        return features, filled(labels, most_rows, *labels.shape[1:]), filled(weights, most_rows)

    return batches.map(fill, num_parallel_calls=2, deterministic=True)


def _share(
    split: Split, folder: str | Path, share: tuple[int, int]
) -> tuple[list[str], Callable[[Any], Any]]:
    """The files that a host reads, and what it keeps of their rows.

    Every `count`-th file; where there are fewer files than hosts, every `count`-th row of all.
    """
    index, count = share
    names = [files.join(str(folder), shard.records_file) for shard in split.shards]
    if len(names) >= count:
        return names[index::count], lambda examples: examples
    return names, lambda examples: examples.shard(count, index)


def _exactly(
    num_steps: int, chunks: Any, examples: Any, num_buckets: int, share: tuple[int, int]
) -> Any:
    """`num_steps` of `chunks`, which are made of `examples`: where several hosts read, those that
    have fewer go on with empty ones."""
    if share[1] > 1:
        # One row at least is there: `plan` saw to it. The widest bucket takes any row.
        first = examples.take(1).batch(1).cache()
        last = tf.constant(num_buckets - 1, tf.int64)
        empty = first.map(lambda serialized: (serialized, last, tf.constant(0)))
        chunks = chunks.concatenate(empty.repeat()).take(num_steps)
    return chunks.apply(tf.data.experimental.assert_cardinality(num_steps))


def _read(names: Any, num_files: int) -> Any:
    return names.interleave(
        tf.data.TFRecordDataset,
        cycle_length=min(num_files, SHARDS_READ_AT_ONCE),
        block_length=_ROWS_A_TURN,
    )


def _chunks(examples: Any, lengths: Sequence[int], rows: Sequence[int]) -> Any:
    """Serialised examples -> those of one batch, not filled up, their bucket, and how many."""
    if len(lengths) == 1:
        chunks = examples.batch(rows[0]).map(
            lambda serialized: (serialized, tf.constant(0, tf.int64))
        )
    else:
        chunks = _bucketed(examples, lengths, rows)
    return chunks.map(lambda serialized, bucket: (serialized, bucket, tf.shape(serialized)[0]))


def _bucketed(examples: Any, lengths: Sequence[int], rows: Sequence[int]) -> Any:
    """As `_chunks`.

    Lengths are measured a chunk at a time, and rows stay strings until they are batched: both are
    several times faster than bucketing parsed rows one by one.
    """
    edges, sizes = tf.constant(lengths[:-1], tf.int64), tf.constant(rows, tf.int64)

    def measure(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        bucket = tf.searchsorted(edges, num_tokens(serialized), side="left")
        return serialized, tf.cast(bucket, tf.int64)

    measured = examples.batch(_ROWS_A_CHUNK).map(measure, num_parallel_calls=2, deterministic=True)
    return measured.unbatch().group_by_window(
        key_func=lambda serialized, bucket: bucket,
        reduce_func=lambda bucket, window: window.batch(sizes[bucket]).map(
            lambda serialized, buckets: (serialized, buckets[0])
        ),
        window_size_func=lambda bucket: sizes[bucket],
    )


def _finished(
    chunks: Any,
    lengths: Sequence[int],
    rows: Sequence[int],
    has_text_pair: bool,
    label_width: int | None,
) -> Any:
    """Chunks -> full batches, parsed."""
    label_shape = () if label_width is None else (label_width,)
    widths, sizes = tf.constant(lengths, tf.int32), tf.constant(rows, tf.int32)
    one_size = rows[0] if len(set(rows)) == 1 else None
    one_width = lengths[0] if len(lengths) == 1 else None

    def finish(serialized: Any, bucket: Any, num_rows: Any) -> tuple[Any, tf.Tensor, tf.Tensor]:
        size = one_size or sizes[bucket]
        filling = tf.fill([size - tf.shape(serialized)[0]], serialized[0])
        serialized = tf.ensure_shape(tf.concat([serialized, filling], axis=0), [one_size])
        length = one_width or widths[bucket]
        features, labels = parse_examples(
            serialized, has_text_pair=has_text_pair, length=length, label_width=label_width
        )
        weights = tf.ensure_shape(tf.sequence_mask(num_rows, size, dtype=tf.float32), [one_size])
        features = {
            name: tf.ensure_shape(value, [one_size, one_width]) for name, value in features.items()
        }
        return features, tf.ensure_shape(labels, [one_size, *label_shape]), weights

    batches = chunks.map(finish, num_parallel_calls=_BATCHES_AT_ONCE, deterministic=True)
    options = tf.data.Options()
    options.deterministic = True
    return batches.prefetch(2).with_options(options)
