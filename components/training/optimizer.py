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

    def __init__(
        self, *, clip_norm: float, ema_decay: float | None = None, **settings: Any
    ) -> None:
        super().__init__(use_ema=ema_decay is not None, ema_momentum=ema_decay or 0.0, **settings)
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

    def _update_model_variables_moving_average(self, trainable_variables: Any) -> None:
        """On every device by itself, where Keras would have them wait for the first one.

        Few steps remember less, like `num_updates` of `tf.train.ExponentialMovingAverage`; after
        the first one the average is what it made.
        """
        step = tf.cast(self.iterations.value, tf.float32)
        decay = tf.minimum(self.ema_momentum, step / (step + 9.0))

        def update(strategy: Any, decay: tf.Tensor) -> None:
            for weight, average in zip(
                trainable_variables, self._model_variables_moving_average, strict=True
            ):
                strategy.extended.update(
                    average.value,
                    lambda a, w, decay: a.assign(decay * a + (1.0 - decay) * w),
                    args=(weight.value, decay),
                    group=False,
                )

        tf.__internal__.distribute.interim.maybe_merge_call(
            update, self._distribution_strategy, decay
        )

    def swap_averages(self) -> None:
        """Weights and their averages change places. Bit by bit, which Keras' `SwapEMAWeights` does
        not: it adds and subtracts.
        """

        def swap(weight: tf.Variable, average: tf.Variable) -> None:
            kept = tf.identity(weight)
            weight.assign(average)
            average.assign(kept)

        pairs = zip(self._trainable_variables, self._model_variables_moving_average, strict=True)
        for weight, average in pairs:
            self._distribution_strategy.extended.update(weight.value, swap, args=(average.value,))


def _inner(optimizer: Any) -> GlobalBatchAdamW:
    """Ours, also where it is wrapped for loss scaling."""
    inner: GlobalBatchAdamW = getattr(optimizer, "inner_optimizer", optimizer)
    return inner


def summed(optimizer: Any, gradients: Sequence[Any]) -> list[Any]:
    """`GlobalBatchAdamW.summed`."""
    return _inner(optimizer).summed(gradients)


def swap_averages(optimizer: Any) -> None:
    """`GlobalBatchAdamW.swap_averages`."""
    _inner(optimizer).swap_averages()


def adamw(
    *,
    peak: float,
    warmup_steps: int,
    total_steps: int,
    weight_decay: float,
    clip_norm: float,
    ema_decay: float | None = None,
) -> GlobalBatchAdamW:
    """The optimizer of the train stage; biases and layer norms are not decayed."""
    rate = LinearSchedule(peak=peak, warmup_steps=warmup_steps, total_steps=total_steps)
    optimizer = GlobalBatchAdamW(
        learning_rate=rate, weight_decay=weight_decay, clip_norm=clip_norm, ema_decay=ema_decay
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer
