"""AdamW with linear warmup and decay, and the same clipping whatever the number of replicas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from . import schedule


class LinearSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """`schedule.learning_rate` as Keras wants it."""

    def __init__(self, *, peak: float, warmup_steps: int, total_steps: int) -> None:
        self.peak, self.warmup_steps, self.total_steps = peak, warmup_steps, total_steps

    def __call__(self, step: Any) -> Any:
        return schedule.learning_rate(
            keras.ops.cast(step, "float32"), minimum=keras.ops.minimum, **self.get_config()
        )

    def get_config(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
        }


class GlobalBatchAdamW(keras.optimizers.AdamW):
    """AdamW for gradients that `summed` has summed over the replicas; it clips what it gets.

    Keras 3.15 clips before it sums, which clips less the more replicas there are. It also takes the
    norm of a sparse gradient row by row, as if a token that appears twice were two tokens; here it
    is summed up first. And its loss scaling looks for overflow on the first replica alone: so the
    sum comes before all of that.
    """

    def __init__(self, *, clip_norm: float, **settings: Any) -> None:
        super().__init__(**settings)
        self._clip_norm = clip_norm

    def summed(self, gradients: Sequence[Any]) -> list[Any]:
        """Dense gradients, summed over the replicas; call it on each of them."""
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        pairs = super()._all_reduce_sum_gradients([(gradient, None) for gradient in dense])
        return [gradient for gradient, _ in pairs]

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        grads, variables = zip(*grads_and_vars, strict=True)
        clipped, _ = tf.clip_by_global_norm(grads, self._clip_norm)
        return list(zip(clipped, variables, strict=True))


def summed(optimizer: Any, gradients: Sequence[Any]) -> list[Any]:
    """`GlobalBatchAdamW.summed`, also where the optimizer is wrapped for loss scaling."""
    inner: GlobalBatchAdamW = getattr(optimizer, "inner_optimizer", optimizer)
    return inner.summed(gradients)


def adamw(
    *, peak: float, warmup_steps: int, total_steps: int, weight_decay: float, clip_norm: float
) -> GlobalBatchAdamW:
    """The optimizer of the train stage; biases and layer norms are not decayed."""
    rate = LinearSchedule(peak=peak, warmup_steps=warmup_steps, total_steps=total_steps)
    optimizer = GlobalBatchAdamW(learning_rate=rate, weight_decay=weight_decay, clip_norm=clip_norm)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer
