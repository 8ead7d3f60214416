"""The model as it is trained: one step, and many steps in one call to the devices.

`Model.fit` stays the face, with its callbacks. Behind it a call runs a whole window of steps: a
loop in one `tf.function` around `strategy.run`, so that a chip does not wait for its host after
each step. Keras' own `steps_per_execution` fails under a strategy (Keras 3.15).

Sums of loss and hits are kept on the devices and read once a window; the host adds the windows up
in 64 bits. So losses and metrics are means over rows, whatever the number of replicas.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from ..example_spec import PADDING_MASK
from .buckets import BUCKET
from .lesson import Masks, Objective
from .one_shape import check_one_shape
from .optimizer import summed
from .progress import SUMS, BrokenLoss, Progress, Totals

Batch = tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]  # features, labels, weights


class Trainee(keras.Model):
    """A classifier's layers, trained in windows of steps.

    Args:
        shapes: rows and width of a global batch of each bucket.
        rows: how many of them hold rows of the data in a full batch; all, where it is not told.
        steps_per_epoch, validation_steps: batches in one pass over either split.
        accumulate_steps: parts that each replica's batch is cut into; their gradients are summed.
        xla: whether forward and backward are compiled by XLA, which a TPU does in any case.
        objective, labels_share: as of `lesson.Lesson`.
        masks: where they are 0, weights learn nothing.
    """

    def __init__(
        self,
        *,
        inputs: Any,
        outputs: Any,
        shapes: Sequence[tuple[int, int]],
        rows: Sequence[int] | None = None,
        steps_per_epoch: int,
        validation_steps: int,
        accumulate_steps: int = 1,
        xla: bool = False,
        objective: Objective | None = None,
        labels_share: float = 1.0,
        masks: Masks | None = None,
    ) -> None:
        super().__init__(inputs=inputs, outputs=outputs)
        self.shapes = tuple(shapes)  # rows of a global batch and width, by bucket
        full = [of_shape for of_shape, _ in shapes] if rows is None else rows
        self._full_rows = {width: n for (_, width), n in zip(shapes, full, strict=True)}
        self._objective, self._labels_share = objective, labels_share
        self.masks = {} if masks is None else dict(masks.of)  # by the path of the weight
        self._accumulate_steps = accumulate_steps
        # The optimizer stays outside: it talks to the other replicas.
        self._compute = tf.function(self._gradients, jit_compile=True) if xla else self._gradients
        self._steps = {"train": steps_per_epoch, "test": validation_steps}
        self._begin = {"train": 0, "test": 0}  # of the next window
        # Every replica adds to its own; reading it sums them.
        self._sums = tf.Variable(
            tf.zeros(len(SUMS) + len(self.shapes) + 2),
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.SUM,
            name="sums_of_the_window",
        )
        self.progress = Progress()
        self.totals = Totals()  # of the epoch, or of the validation, so far
        self.window = Totals()  # of the last window
        self.window_seconds = 0.0  # that it took, compiling included
        self.wants_to_stop = False  # this process, that is
        self.num_workers = 1  # processes that train together
        self._all_stop = False  # one of them wants to, and all know of it after the same window

    @property
    def must_stop(self) -> bool:
        """Whether to stop now, and not with the next window."""
        return self._all_stop or (self.wants_to_stop and self.num_workers == 1)

    def train_step(self, data: Batch) -> None:
        """One optimizer step of a replica on its share of a global batch."""
        gradients, sums = self._in_its_shape(self._compute, data)
        gradients = summed(self.optimizer, gradients)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self._count(data, sums, broken=self._is_broken(gradients))

    def _is_broken(self, gradients: list[tf.Tensor]) -> tf.Tensor:
        """1 where the update cannot but break the weights. Loss scaling leaves such ones out."""
        if hasattr(self.optimizer, "inner_optimizer"):
            return tf.constant(0.0)
        finite = tf.math.is_finite(tf.linalg.global_norm(gradients))
        return 1.0 - tf.cast(finite, tf.float32)

    def test_step(self, data: Batch) -> None:
        """Loss and hits of a replica's share of a global batch."""

        def compute(batch: Batch) -> tf.Tensor:
            return _batch_sums(self(batch[0], training=False), batch)

        self._count(data, self._in_its_shape(compute, data))

    def _in_its_shape(self, compute: Callable[[Batch], Any], data: Batch) -> Any:
        """`compute` of a replica's batch in the shape of its bucket; see `dataset.in_one_shape`.

        It is traced once a bucket, with static shapes, and must not talk to other replicas.
        """
        features, labels, weights = data
        if BUCKET not in features:
            return compute(data)
        num_replicas = self.distribute_strategy.num_replicas_in_sync

        def of(rows: int, width: int) -> Callable[[], Any]:
            def branch() -> Any:
                inputs = {
                    name: tf.reshape(x[: rows * width], [rows, width])
                    for name, x in features.items()
                    if name != BUCKET
                }
                return compute((inputs, labels[:rows], weights[:rows]))

            return branch

        branches = [of(rows // num_replicas, width) for rows, width in self.shapes]
        return tf.switch_case(features[BUCKET][0], branches)

    def _gradients(self, data: Batch) -> tuple[list[tf.Tensor], tf.Tensor]:
        """The gradient of the replica's share of the loss, and its `_batch_sums`.

        The loss divides by the rows of a full global batch of this bucket: a batch of few real rows
        then moves the weights as little as these rows would in a full one.
        """
        num_rows = self._full_rows[data[0][PADDING_MASK].shape[1]]
        weights = self.trainable_weights

        def of_part(part: Batch) -> tuple[list[tf.Tensor], tf.Tensor]:
            with tf.GradientTape() as tape:
                logits = self(part[0], training=True)
                sums = _batch_sums(logits, part)
                loss = self.optimizer.scale_loss(self._loss(logits, sums, part) / num_rows)
            gradients = tape.gradient(
                loss,
                [weight.value for weight in weights],
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
            return [self._masked(*pair) for pair in zip(gradients, weights, strict=True)], sums

        num_parts = self._accumulate_steps
        if num_parts == 1:
            return of_part(data)
        parts = tf.nest.map_structure(
            lambda x: tf.reshape(x, [num_parts, x.shape[0] // num_parts, *x.shape[1:]]), data
        )

        def add(i: tf.Tensor, gradients: Any, sums: tf.Tensor) -> Any:
            more, counted = of_part(tf.nest.map_structure(lambda x: x[i], parts))
            return i + 1, [a + b for a, b in zip(gradients, more, strict=True)], sums + counted

        nothing = [tf.zeros(v.shape, v.dtype) for v in self.trainable_weights]
        _, gradients, sums = tf.while_loop(
            lambda i, *_: i < num_parts,
            add,
            (0, nothing, tf.zeros(len(SUMS))),
            parallel_iterations=1,
        )
        return gradients, sums

    def _masked(self, gradient: Any, weight: Any) -> tf.Tensor:
        gradient, mask = tf.convert_to_tensor(gradient), self.masks.get(weight.path)
        return gradient if mask is None else gradient * mask.value

    def _loss(self, logits: tf.Tensor, sums: tf.Tensor, part: Batch) -> tf.Tensor:
        """The sum over the rows of what is made small."""
        if self._objective is None:
            return sums[0]
        features, _, weights = part
        more = self._objective(features, tf.cast(logits, tf.float32))
        return self._labels_share * sums[0] + tf.reduce_sum(more * weights)

    def _count(self, data: Batch, sums: tf.Tensor, broken: tf.Tensor | float = 0.0) -> None:
        bucket = data[0][BUCKET][0] if BUCKET in data[0] else 0
        step = tf.one_hot(bucket, len(self.shapes))
        self._sums.assign_add(tf.concat([sums, step, [broken, 0.0]], axis=0))

    def make_train_function(self, force: bool = False) -> None:
        """What `fit` calls for each window of `steps_per_execution` steps."""
        if self.train_function is None or force:  # type: ignore[has-type]
            run = self._windows_of(self.train_step)
            self._run_steps = run
            self.train_function = lambda iterator: self._window("train", run, iterator)

    def make_test_function(self, force: bool = False) -> None:
        """As `make_train_function`, for `evaluate` and the validation in `fit`."""
        if self.test_function is None or force:  # type: ignore[has-type]
            run = self._windows_of(self.test_step)
            self.test_function = lambda iterator: self._window("test", run, iterator)

    def run_steps(self, iterator: Any, num_steps: int) -> float:
        """Trains `num_steps` steps beside the books; returns the seconds. After `fit` only."""
        self.make_train_function()  # a training that was over when it was taken up has none yet
        started = time.perf_counter()
        self._run_steps(iterator, tf.constant(num_steps)).numpy()
        return time.perf_counter() - started

    def reset_metrics(self) -> None:
        """Keras calls it before each pass over a split."""
        super().reset_metrics()
        self.totals = Totals()
        self._begin = {"train": 0, "test": 0}

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Nothing: all is built. Keras would read a batch, and so fill the shuffle buffer twice."""

    def _window(self, kind: str, run: Callable[..., Any], iterator: Any) -> dict[str, float]:
        begin = self._begin[kind]
        window = range(begin, min(begin + self.steps_per_execution, self._steps[kind]))
        self._begin[kind] = window.stop
        if kind == "train":
            window = range(max(window.start, self.progress.step), window.stop)
            self.window = Totals(steps_by_width=[0.0] * len(self.shapes))
            if not window:  # done before the training was taken up again
                return self.totals.means()
            self.progress.step = window.stop
            if self.progress.is_skipped(window):
                _drop(iterator, tf.constant(len(window)))
                return self.totals.means()
        started = time.perf_counter()
        sums = run(iterator, tf.constant(len(window))).numpy().astype("float64").tolist()
        self.window_seconds = time.perf_counter() - started
        self._all_stop = sums.pop() > 0
        broken = sums.pop() > 0
        num_replicas = self.distribute_strategy.num_replicas_in_sync
        steps = [n / num_replicas for n in sums[len(SUMS) :]]  # hosts may be at other buckets
        self.window = Totals(**dict(zip(SUMS, sums, strict=False)), steps_by_width=steps)
        name = "loss" if kind == "train" else "val_loss"
        if not math.isfinite(self.window.loss):
            self.blame(f"{name} must be finite; received {self.window.loss}", window, kind)
        if broken:
            self.blame("the gradient must be finite; received one that is not", window, kind)
        self.totals.add(self.window)
        self.progress.num_steps += len(window) if kind == "train" else 0
        return self.totals.means()

    def blame(self, reason: str, window: range = range(0), kind: str = "test") -> None:
        """Raises `BrokenLoss` for a window of training, or for the last one there was."""
        if kind != "train":
            window = self.progress.last_window(self.steps_per_execution)
        raise BrokenLoss(
            f"{reason}, after step {self.progress.num_steps}",
            epoch=self.progress.epoch,
            window=window,
        )

    def agree_on(self, number: int) -> bool:
        """Whether all workers call it with the same number; all must call it."""
        return self._mean_over_workers(number) == float(number)

    def one_says(self, yes: bool) -> bool:
        """Whether one worker at least calls it with a yes; all must call it."""
        return self._mean_over_workers(yes) > 0

    def _mean_over_workers(self, number: float) -> float:
        strategy, size = self.distribute_strategy, self._sums.shape[0]

        @tf.function
        def mean(ours: tf.Tensor) -> tf.Tensor:
            self._sums.assign(tf.zeros(size))
            strategy.run(lambda: self._sums.assign_add(tf.pad([ours], [[size - 1, 0]])))
            return tf.identity(self._sums)[-1] / strategy.num_replicas_in_sync

        return float(mean(tf.constant(float(number))))

    def _windows_of(self, step: Callable[[Batch], None]) -> Callable[..., tf.Tensor]:
        """A function of an iterator and a number of steps that returns the sums of the steps.

        One program, however many steps are run and whatever buckets their batches are of.
        """
        first: list[Any] = []
        strategy, size = self.distribute_strategy, self._sums.shape[0]

        @tf.function
        def many(iterator: Any, num_steps: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
            self._sums.assign(tf.zeros(size))
            strategy.run(lambda: self._sums.assign_add(tf.pad([stop], [[size - 1, 0]])))
            for _ in tf.range(num_steps):
                strategy.run(step, (next(iterator),))
            return tf.identity(self._sums)

        def run(iterator: Any, num_steps: tf.Tensor) -> tf.Tensor:
            first.extend([] if first else [iterator.element_spec])
            check_one_shape(first[0], iterator.element_spec)
            return many(iterator, num_steps, tf.constant(float(self.wants_to_stop)))

        return run


def _batch_sums(logits: Any, batch: Batch) -> tf.Tensor:
    """Weighted sums over the rows, `SUMS`, float32; labels are ids `(B,)` or 1 and 0 `(B, C)`."""
    features, labels, weights = batch
    logits = tf.cast(logits, tf.float32)
    counts: list[tf.Tensor] = []
    if labels.shape.rank == 1:
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        right = tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), labels)
        hits = tf.cast(right, tf.float32)
    else:
        entropy, hits, *counts = _of_several(logits, tf.cast(labels, tf.float32))
    tokens = tf.cast(tf.reduce_sum(features[PADDING_MASK], axis=1), tf.float32)
    of_rows = [entropy, hits, tf.ones_like(hits), tokens, *counts]
    sums = tf.stack([tf.reduce_sum(x * weights) for x in of_rows])
    return tf.pad(sums, [[0, len(SUMS) - len(of_rows)]])


def _of_several(logits_BC: tf.Tensor, labels_BC: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Of each row: the mean binary cross entropy of its labels, the share of those that are rightly
    on or off, how many are rightly on, and how many on in the answer and in truth together.
    """
    on_BC = tf.cast(logits_BC > 0, tf.float32)  # from a probability of one half on
    return (
        tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels_BC, logits_BC), axis=1),
        tf.reduce_mean(tf.cast(tf.equal(on_BC, labels_BC), tf.float32), axis=1),
        tf.reduce_sum(on_BC * labels_BC, axis=1),
        tf.reduce_sum(on_BC + labels_BC, axis=1),
    )


@tf.function
def _drop(iterator: Any, num_batches: tf.Tensor) -> None:
    for _ in tf.range(num_batches):
        next(iterator)
