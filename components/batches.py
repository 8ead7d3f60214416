"""Serialised tf.Examples -> padded int32 model inputs, a batch at a time.

Shared by training and by the `examples` signature of the SavedModel, so that both see the same
features. Parsing on batches is several times faster than one example at a time.
"""

from __future__ import annotations

from typing import TypeAlias

import tensorflow as tf

from .example_spec import LABEL, PADDING_MASK, SEGMENT_IDS, TOKEN_IDS

Features = dict[str, tf.Tensor]
Width: TypeAlias = int | tf.Tensor | None


def parse_features(
    serialized: tf.Tensor,
    *,
    has_text_pair: bool,
    length: Width = None,
    max_length: Width = None,
    vocabulary_size: int | None = None,
) -> Features:
    """Model inputs `(B, length)` int32 of serialised examples `(B,)`; a label is not needed.

    Args:
        serialized: string `(B,)`.
        has_text_pair: whether the rows hold segment ids.
        length: the static width. None: the longest row of the batch, at least 1.
        max_length: the longest row allowed where `length` is None.
        vocabulary_size: for rows of whoever asks a server; ids beyond it are refused.

    Raises:
        tf.errors.InvalidArgumentError: when run, for a row longer than `length` or `max_length`
            (cutting it here would drop its [SEP] without a word) or one without token ids.
    """
    parsed = tf.io.parse_example(serialized, _spec(has_text_pair))
    # As int64: of ids that int32 cannot hold some would be in range afterwards.
    ids = {name: ragged.values for name, ragged in parsed.items()}
    checks = [] if vocabulary_size is None else id_checks(ids, vocabulary_size)
    with tf.control_dependencies(checks):
        return _features(parsed, length, max_length)


def parse_examples(
    serialized: tf.Tensor,
    *,
    has_text_pair: bool,
    length: int | tf.Tensor,
    label_width: int | None = None,
) -> tuple[Features, tf.Tensor]:
    """As `parse_features`, with the labels: ids int32 `(B,)`, or `(B, label_width)` of 1 and 0."""
    shape = () if label_width is None else (label_width,)
    spec = _spec(has_text_pair) | {LABEL: tf.io.FixedLenFeature(shape, tf.int64)}
    parsed = tf.io.parse_example(serialized, spec)
    return _features(parsed, length, None), tf.cast(parsed[LABEL], tf.int32)


def id_checks(ids: Features, vocabulary_size: int) -> list[tf.Operation]:
    """That token ids are of the vocabulary, and segment ids of a first or a second text."""
    remedy = "tokenise with the vocabulary of the model"
    checks = [within(ids[TOKEN_IDS], 0, vocabulary_size - 1, name=TOKEN_IDS, remedy=remedy)]
    if SEGMENT_IDS in ids:
        remedy = "1 is for the tokens of the second text"
        checks.append(within(ids[SEGMENT_IDS], 0, 1, name=SEGMENT_IDS, remedy=remedy))
    # Outside a graph the checks have run already and are None.
    return [check for check in checks if check is not None]


def within(values: tf.Tensor, low: int, high: int, *, name: str, remedy: str) -> tf.Operation:
    """That all of integer `values`, maybe none, lie from `low` to `high`."""
    least, most = tf.reduce_min(values), tf.reduce_max(values)
    words = f"{name}: must be from {low} to {high}; received"
    return tf.debugging.Assert(
        (least >= low) & (most <= high), [words, least, "to", most, f"; {remedy}"]
    )


def num_tokens(serialized: tf.Tensor) -> tf.Tensor:
    """Tokens of each serialised example, int64 `(B,)`."""
    parsed = tf.io.parse_example(serialized, _spec(has_text_pair=False))
    return parsed[TOKEN_IDS].row_lengths()


def _spec(has_text_pair: bool) -> dict[str, tf.io.RaggedFeature]:
    names = (TOKEN_IDS, SEGMENT_IDS) if has_text_pair else (TOKEN_IDS,)
    return {name: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64) for name in names}


def _features(parsed: dict[str, tf.RaggedTensor], length: Width, max_length: Width) -> Features:
    lengths = parsed[TOKEN_IDS].row_lengths()
    with tf.control_dependencies(_checks(parsed, max_length if length is None else length)):
        lengths = tf.identity(lengths)
    # The maximum of no rows at all is very negative, hence the 1.
    width = tf.maximum(tf.reduce_max(lengths), 1) if length is None else length
    shape = [None, width] if isinstance(width, int) else tf.stack([-1, tf.cast(width, tf.int64)])
    features = {
        name: tf.cast(ragged.to_tensor(shape=shape), tf.int32)
        for name, ragged in parsed.items()
        if name != LABEL
    }
    return features | {PADDING_MASK: tf.sequence_mask(lengths, width, dtype=tf.int32)}


def _checks(parsed: dict[str, tf.RaggedTensor], limit: Width) -> list[tf.Operation]:
    lengths = parsed[TOKEN_IDS].row_lengths()
    checks = [tf.debugging.assert_positive(lengths, message=f"{TOKEN_IDS}: a row has none")]
    if limit is not None:
        longest = f"{limit} tokens" if isinstance(limit, int) else "the tokens of its batch"
        message = f"{TOKEN_IDS}: a row must hold at most {longest}; cut it when tokenising"
        limit = tf.cast(limit, tf.int64)
        checks.append(tf.debugging.assert_less_equal(lengths, limit, message))
    if SEGMENT_IDS in parsed:
        message = f"{SEGMENT_IDS}: must be as many as {TOKEN_IDS}"
        segments = parsed[SEGMENT_IDS].row_lengths()
        checks.append(tf.debugging.assert_equal(segments, lengths, message))
    # Outside a graph the checks have run already and are None.
    return [check for check in checks if check is not None]
