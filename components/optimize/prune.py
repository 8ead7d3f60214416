"""The smallest weights of a model become zero while it is trained on."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ..contracts import ShardSet
from ..training.config import Config
from ..training.lesson import Lesson, Masks
from .sparsity import mask, sparsity_at
from .variants import Prune


class PruningLesson(Lesson):
    """Starts from `weights`, and ends with `variant.sparsity` of each kernel being zero."""

    def __init__(self, variant: Prune, weights: list[np.ndarray]) -> None:
        self._variant, self._weights = variant, weights

    def model(self, config: Config, shards: ShardSet) -> keras.Model:
        model = super().model(config, shards)
        model.set_weights(self._weights)
        return model

    def masks(self, classifier: keras.Model, total_steps: int) -> Masks:
        final_step = max(1, int(self._variant.ramp * total_steps))

        def mask_of(value: np.ndarray, step: int) -> np.ndarray:
            share = sparsity_at(step, final_step=final_step, final_sparsity=self._variant.sparsity)
            return mask(value, share)

        return Masks(prunable(classifier), mask_of, final_step=final_step)


def prunable(classifier: keras.Model) -> list[Any]:
    """Kernels of matrix products: neither embeddings nor the layer that answers."""
    return [
        weight
        for weight in classifier.trainable_weights
        if weight.path.endswith("kernel") and "logits" not in weight.path.split("/")
    ]
