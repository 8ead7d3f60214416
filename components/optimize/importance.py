"""Which heads and feed-forward units a classifier needs least: numbers, then what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..batches import parse_examples
from ..contracts import ShardSet

ROWS_A_BATCH = 16


def importance(
    model: keras.Model, shards: ShardSet, *, num_rows: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """How much the loss would change without each head and each unit, to first order.

    The mean over batches of |sum of weight times gradient| over the weights that lead out of a head
    or unit: the derivative of the loss by a factor on it. One array a block: of heads, of units.
    """
    kernels = [kernel for block in blocks(model) for kernel in outgoing(block)]
    totals = [np.zeros(kernel.shape[0]) for kernel in kernels]
    gradients = _gradients(model, kernels, multi_label=shards.multi_label)
    for features, labels in _batches(shards, num_rows):
        for total, value in zip(totals, gradients(features, labels), strict=True):
            total += np.abs(value.numpy())
    return totals[0::2], totals[1::2]


def blocks(model: keras.Model) -> Any:
    """The transformer blocks, first to last."""
    return model.get_layer("backbone").transformer_layers


def outgoing(block: Any) -> tuple[Any, Any]:
    """Kernels `(heads, head width, D)` and `(units, D)` that lead out of heads and units."""
    return block._self_attention_layer._output_dense.kernel, block._feedforward_output_dense.kernel


def _gradients(model: keras.Model, kernels: Sequence[Any], *, multi_label: bool) -> Any:
    loss_of = (
        keras.losses.BinaryCrossentropy(from_logits=True)
        if multi_label
        else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )

    @tf.function(reduce_retracing=True)
    def gradients(features: Any, labels: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            loss = loss_of(labels, model(features, training=False))
        found = tape.gradient(loss, [kernel.value for kernel in kernels])
        return [
            tf.reduce_sum(kernel * gradient, axis=list(range(1, len(kernel.shape))))
            for kernel, gradient in zip(kernels, found, strict=True)
        ]

    return gradients


def _batches(shards: ShardSet, num_rows: int) -> Any:
    """The first rows of train; they lie in the order of a hash, so they are a random sample."""
    files = [str(Path(shards.uri) / s.records_file) for s in shards.split("train").shards]
    examples = tf.data.TFRecordDataset(files).take(num_rows).batch(ROWS_A_BATCH)
    return examples.map(
        lambda serialized: parse_examples(
            serialized,
            has_text_pair=shards.has_text_pair,
            length=shards.sequence_length,
            label_width=shards.label_width,
        )
    )


def kept(importances: Sequence[np.ndarray], share: float) -> list[np.ndarray]:
    """Indices that each block keeps: the most important of all blocks, at least one of each."""
    firsts = [int(np.argmax(values)) for values in importances]
    ranked = sorted(
        (-float(value), block, index)
        for block, values in enumerate(importances)
        for index, value in enumerate(values)
    )
    chosen = {(block, index) for block, index in enumerate(firsts)}
    wanted = max(len(importances), round(share * len(ranked)))
    for _, block, index in ranked:
        if len(chosen) >= wanted:
            break
        chosen.add((block, index))
    return [
        np.array(sorted(index for block, index in chosen if block == number))
        for number in range(len(importances))
    ]
