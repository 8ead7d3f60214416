"""What a training starts from, whom it imitates, and which weights stay zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from ..contracts import ShardSet
from ..modeling import build
from .config import Config

Objective = Callable[[dict[str, Any], Any], Any]
"""From the features and the float32 logits `(B, C)` of a batch to one more loss a row, `(B,)`."""


class Lesson:
    """The plain one: a model from its spec, or from its preset, that learns from labels alone."""

    labels_share = 1.0
    """Of the cross entropy with the labels in the loss; `objective` gives the rest."""

    def model(self, config: Config, shards: ShardSet) -> keras.Model:
        """The classifier to be trained; called in the scope of the lane."""
        return build(
            config.model,
            vocabulary_size=shards.vocabulary_size,
            sequence_length=shards.sequence_length,
            num_labels=len(shards.label_names),
            has_text_pair=shards.has_text_pair,
            tokenizer_fingerprint=shards.tokenizer_fingerprint,
        )

    def objective(self) -> Objective | None:
        """What is learnt besides the labels; called after `model`, in the same scope."""
        return None

    def masks(self, classifier: keras.Model, total_steps: int) -> Masks | None:
        """Weights that become zero on the way; called after `model`, in the same scope."""
        return None


class Masks:
    """Masks of 0 and 1 beside some weights: those at a 0 get no gradient.

    What the optimizer remembers of a weight moves it on for a while; so weights are put back to 0
    after each window of steps, by `update` or `apply`.

    Args:
        weights: Keras variables; call it in the scope that they were made in.
        mask_of: from a weight's value and the number of steps done to its mask.
        final_step: from there on the masks stay. Weights of earlier epochs are not kept.
    """

    def __init__(
        self,
        weights: Sequence[Any],
        mask_of: Callable[[np.ndarray, int], np.ndarray],
        *,
        final_step: int,
    ) -> None:
        self.final_step = final_step
        self._weights, self._mask_of = tuple(weights), mask_of
        self.of = {
            weight.path: keras.Variable(
                np.ones(weight.shape, "float32"), trainable=False, name=f"mask_{number}"
            )
            for number, weight in enumerate(weights)
        }

    def update(self, step: int) -> None:
        """Sets the masks anew from the weights as they are, and applies them."""
        for weight in self._weights:
            self.of[weight.path].assign(self._mask_of(weight.numpy(), step))
        self.apply()

    def apply(self) -> None:
        """Sets the weights to 0 where their mask is."""
        for weight in self._weights:
            weight.assign(weight.numpy() * self.of[weight.path].numpy())
