"""A BERT without its least important heads and units: smaller kernels, and so a smaller graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from ..contracts import ShardSet, TrainedModel
from ..modeling import BertSpec
from ..training.config import Config
from ..training.lesson import Lesson
from .importance import blocks, importance, kept
from .variants import Shrink


class ShrunkLesson(Lesson):
    """Starts from the weights that are left."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self._weights = weights  # by path

    def model(self, config: Config, shards: ShardSet) -> keras.Model:
        model = super().model(config, shards)
        for weight in model.weights:
            weight.assign(self._weights[weight.path])
        return model


def shrunk(
    variant: Shrink, trained: TrainedModel, model: keras.Model, shards: ShardSet
) -> tuple[BertSpec, dict[str, np.ndarray]]:
    """The spec of the smaller model, and its weights by their paths.

    Raises:
        ValueError: the model is no BERT.
    """
    spec = trained.model
    if not isinstance(spec, BertSpec):
        raise ValueError(
            "optimize.variants: type shrink is for BERT, which has heads; received a model of type "
            f"{spec.type}; take prune, or distill"
        )
    of_heads, of_units = importance(model, shards, num_rows=variant.rows)
    heads, units = kept(of_heads, variant.keep_heads), kept(of_units, variant.keep_units)
    smaller: dict[int, np.ndarray] = {}
    for block, heads_kept, units_kept in zip(blocks(model), heads, units, strict=True):
        smaller |= _sliced(block, heads_kept, units_kept)
    weights = {w.path: smaller.get(id(w), np.asarray(w.numpy())) for w in model.weights}
    assert len(weights) == len(model.weights), "two weights have one path"
    return (
        replace(
            spec,
            heads=tuple(len(indices) for indices in heads),
            units=tuple(len(indices) for indices in units),
        ),
        weights,
    )


def _sliced(block: Any, heads: np.ndarray, units: np.ndarray) -> dict[int, np.ndarray]:
    """By the id of the variable: its part that is kept."""
    attention = block._self_attention_layer
    parts = {}
    for name in ("query", "key", "value"):
        dense = getattr(attention, f"_{name}_dense")
        parts[id(dense._kernel)] = np.asarray(dense._kernel.numpy())[:, heads]
        parts[id(dense.bias)] = np.asarray(dense.bias.numpy())[heads]
    parts[id(attention._output_dense._kernel)] = _rows(attention._output_dense._kernel, heads)
    dense, output = block._feedforward_intermediate_dense, block._feedforward_output_dense
    parts[id(dense._kernel)] = np.asarray(dense._kernel.numpy())[:, units]
    parts[id(dense.bias)] = _rows(dense.bias, units)
    parts[id(output._kernel)] = _rows(output._kernel, units)
    return parts


def _rows(weight: Any, indices: np.ndarray) -> np.ndarray:
    return np.asarray(weight.numpy())[indices]
