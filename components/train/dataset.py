"""Shards -> batches: int32 features, labels and weights, always `global_batch_size` rows.

The order of the rows is a function of seed and epoch only, and not of how often somebody asked for
an iterator: the number of replicas must not change it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from ..batches import num_tokens, parse_examples
from ..contracts import Split
from ..example_spec import SHARDS_READ_AT_ONCE

_ROWS_A_TURN = 16  # read from one file before the next one has its turn
_ROWS_A_CHUNK = 1024  # measured at a time


def training_batches(
    split: Split,
    folder: str | Path,
    *,
    lengths: Sequence[int],
    batch_size: int,
    has_text_pair: bool,
    shuffle_rows: int,
    num_steps: int,
    epochs: int,
    seed: int,
) -> Any:
    """Every epoch after the other, each reshuffled and `num_steps` batches long.

    Elements: features int32 `(B, L)`, labels int32 `(B,)`, weights float32 `(B,)`; L is one of
    `lengths`. Rows of weight 0 fill up the last batch of a bucket; they repeat a row of it.

    An epoch of another length than `num_steps` raises a `tf.errors.OpError` when it is read.
    """
    files = _files(split, folder)

    def epoch_batches(epoch: tf.Tensor) -> Any:
        # Far apart, so that two runs with neighbouring seeds do not share epochs.
        epoch_seed = tf.constant(seed, tf.int64) * 1_000_003 + epoch
        names = tf.data.Dataset.from_tensor_slices(files)
        names = names.shuffle(len(files), seed=epoch_seed, reshuffle_each_iteration=False)
        rows = _read(names, len(files))
        rows = rows.shuffle(shuffle_rows, seed=epoch_seed, reshuffle_each_iteration=False)
        batches = _batches(rows, lengths, batch_size, has_text_pair)
        return batches.apply(tf.data.experimental.assert_cardinality(num_steps))

    batches = tf.data.Dataset.range(epochs).flat_map(epoch_batches)
    return _finished(batches)


def validation_batches(
    split: Split,
    folder: str | Path,
    *,
    lengths: Sequence[int],
    batch_size: int,
    has_text_pair: bool,
    num_steps: int,
) -> Any:
    """One pass in the order of the shards; elements as of `training_batches`."""
    files = _files(split, folder)
    rows = _read(tf.data.Dataset.from_tensor_slices(files), 1)
    batches = _batches(rows, lengths, batch_size, has_text_pair)
    return _finished(batches.apply(tf.data.experimental.assert_cardinality(num_steps)))


def _files(split: Split, folder: str | Path) -> list[str]:
    return [str(Path(folder) / shard.records_file) for shard in split.shards]


def _read(names: Any, num_files: int) -> Any:
    return names.interleave(
        tf.data.TFRecordDataset,
        cycle_length=min(num_files, SHARDS_READ_AT_ONCE),
        block_length=_ROWS_A_TURN,
    )


def _batches(rows: Any, lengths: Sequence[int], batch_size: int, has_text_pair: bool) -> Any:
    """Serialised rows -> finished batches, one bucket each."""
    if len(lengths) == 1:
        chunks = rows.batch(batch_size).map(lambda serialized: (serialized, 0))
    else:
        chunks = _bucketed(rows, lengths, batch_size)
    width = tf.constant(lengths, tf.int32)

    def finish(serialized: tf.Tensor, bucket: tf.Tensor) -> tuple[Any, tf.Tensor, tf.Tensor]:
        num_rows = tf.shape(serialized)[0]
        filling = tf.fill([batch_size - num_rows], serialized[0])
        serialized = tf.ensure_shape(tf.concat([serialized, filling], axis=0), [batch_size])
        length = lengths[0] if len(lengths) == 1 else width[bucket]
        features, labels = parse_examples(serialized, has_text_pair=has_text_pair, length=length)
        weights = tf.sequence_mask(num_rows, batch_size, dtype=tf.float32)
        shape = [batch_size, lengths[0] if len(lengths) == 1 else None]
        features = {name: tf.ensure_shape(value, shape) for name, value in features.items()}
        return features, labels, weights

    return chunks.map(finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _bucketed(rows: Any, lengths: Sequence[int], batch_size: int) -> Any:
    """Batches of serialised rows of one bucket, with its number.

    Lengths are measured a chunk at a time, and rows stay strings until they are batched: both are
    several times faster than bucketing parsed rows one by one.
    """
    edges = tf.constant(lengths[:-1], tf.int64)

    def measure(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        bucket = tf.searchsorted(edges, num_tokens(serialized), side="left")
        return serialized, tf.cast(bucket, tf.int64)

    measured = rows.batch(_ROWS_A_CHUNK).map(measure, num_parallel_calls=2, deterministic=True)
    return measured.unbatch().group_by_window(
        key_func=lambda serialized, bucket: bucket,
        reduce_func=lambda bucket, window: window.batch(batch_size).map(
            lambda serialized, buckets: (serialized, buckets[0])
        ),
        window_size=batch_size,
    )


def _finished(batches: Any) -> Any:
    options = tf.data.Options()
    options.deterministic = True
    # Every replica reads the whole batch and takes its share; files are not divided up.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.prefetch(2).with_options(options)
