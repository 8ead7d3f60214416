"""AdamW with linear warmup and decay, and the same clipping whatever the number of replicas."""

from __future__ import annotations

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
    """AdamW that clips the gradient of the global batch.

    Keras 3.15 clips before it sums over the replicas, which clips less the more replicas there
    are. It also takes the norm of a sparse gradient row by row, as if a token that appears twice
    were two tokens; here it is summed up first.
    """

    def __init__(self, *, clip_norm: float, **settings: Any) -> None:
        super().__init__(**settings)
        self._clip_norm = clip_norm

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        dense = [
            (None if grad is None else tf.convert_to_tensor(grad), variable)
            for grad, variable in grads_and_vars
        ]
        reduced = super()._all_reduce_sum_gradients(dense)
        grads, variables = zip(*reduced, strict=True)
        clipped, _ = tf.clip_by_global_norm(grads, self._clip_norm)
        return list(zip(clipped, variables, strict=True))


def adamw(
    *, peak: float, warmup_steps: int, total_steps: int, weight_decay: float, clip_norm: float
) -> GlobalBatchAdamW:
    """The optimizer of the train stage; biases and layer norms are not decayed."""
    rate = LinearSchedule(peak=peak, warmup_steps=warmup_steps, total_steps=total_steps)
    optimizer = GlobalBatchAdamW(learning_rate=rate, weight_decay=weight_decay, clip_norm=clip_norm)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer
