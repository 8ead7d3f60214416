"""A smaller model learns the answers of a larger one, and the labels.

Keras' own `Distiller` ignores the weights of rows, which fill up the last batches here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..contracts import ShardSet, TrainedModel
from ..modeling import BertSpec, ModelSpec
from ..training.config import Config
from ..training.lesson import Lesson, Objective
from .variants import Distill


class DistillingLesson(Lesson):
    """The loss of a row: its cross entropy with the label, and with the teacher's softened answer.

    The second is multiplied by the square of the temperature, so that its gradient stays as large
    as that of the first (Hinton et al. 2015, section 2). Of multi-label data both are binary cross
    entropies, means over the labels.
    """

    def __init__(
        self,
        variant: Distill,
        trained: TrainedModel,
        shards: ShardSet,
        start: dict[str, np.ndarray],
    ) -> None:
        self._variant, self._trained, self._shards, self._start = variant, trained, shards, start
        self.labels_share = variant.labels_share

    def model(self, config: Config, shards: ShardSet) -> keras.Model:
        model = super().model(config, shards)
        for weight in model.weights:
            if weight.path in self._start:
                weight.assign(self._start[weight.path])
        return model

    def objective(self) -> Objective:
        teacher, temperature = self._teacher(), self._variant.temperature
        scale = (1 - self.labels_share) * temperature**2
        entropy = _binary_entropy if self._shards.multi_label else _entropy

        def imitate(features: dict[str, Any], logits: Any) -> Any:
            wanted = tf.cast(tf.stop_gradient(teacher(features, training=False)), tf.float32)
            return scale * entropy(wanted / temperature, logits / temperature)

        return imitate

    def _teacher(self) -> keras.Model:
        """In the scope of the lane, and so in its precision."""
        config = Config(model=self._trained.model)
        teacher = super().model(config, self._shards)
        teacher.load_weights(Path(self._trained.uri) / self._trained.weights_file)
        teacher.trainable = False
        return teacher


def _entropy(wanted_BC: tf.Tensor, logits_BC: tf.Tensor) -> tf.Tensor:
    """Cross entropy of each row with the softmax of `wanted_BC`."""
    return tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(wanted_BC), logits_BC)


def _binary_entropy(wanted_BC: tf.Tensor, logits_BC: tf.Tensor) -> tf.Tensor:
    """Mean over the labels of the cross entropy of each with the sigmoid of `wanted_BC`."""
    of_labels = tf.nn.sigmoid_cross_entropy_with_logits(tf.sigmoid(wanted_BC), logits_BC)
    return tf.reduce_mean(of_labels, axis=1)


def student(variant: Distill, trained: TrainedModel) -> ModelSpec:
    """The spec of the model that learns.

    Raises:
        ValueError: `num_layers` is asked of what is no BERT, or are not fewer.
    """
    if variant.model is not None:
        return variant.model
    assert variant.num_layers is not None
    teacher = trained.model
    if not isinstance(teacher, BertSpec) or variant.num_layers >= teacher.num_layers:
        have = f"{teacher.num_layers} blocks" if isinstance(teacher, BertSpec) else "none"
        raise ValueError(
            "optimize.variants: num_layers must be fewer than the blocks of the model, a BERT; "
            f"received {variant.num_layers} for a {teacher.type} with {have}; lower it, or give "
            "model"
        )
    return replace(teacher, num_layers=variant.num_layers)


def first_weights(
    variant: Distill, trained: TrainedModel, teacher: keras.Model
) -> dict[str, np.ndarray]:
    """By the paths of the student: its blocks start as evenly spaced ones of the teacher's."""
    if variant.num_layers is None:
        return {}
    assert isinstance(trained.model, BertSpec)
    taken = spaced(trained.model.num_layers, variant.num_layers)
    places = {f"transformer_layer_{old}": f"transformer_layer_{i}" for i, old in enumerate(taken)}
    found = {}
    for weight in teacher.weights:
        parts = weight.path.split("/")
        blocks = [part for part in parts if part.startswith("transformer_layer_")]
        if all(block in places for block in blocks):
            path = "/".join(places.get(part, part) for part in parts)
            found[path] = np.asarray(weight.numpy())
    return found


def spaced(num_all: int, num_kept: int) -> list[int]:
    """`num_kept` of 0 ... `num_all` - 1, evenly spaced, the first and the last among them."""
    if num_kept == 1:
        return [num_all - 1]
    return [round(i * (num_all - 1) / (num_kept - 1)) for i in range(num_kept)]
