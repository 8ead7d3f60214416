"""What is watched while Keras trains: broken losses, speed, best weights, history, scalars."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from ..contracts import EpochRecord
from ..stage import Log

WEIGHTS_FILE = "best.weights.h5"


class StopOnBrokenLoss(keras.callbacks.Callback):
    """Raises `FloatingPointError` after the first step whose loss is not a finite number."""

    def __init__(self, weights: BestWeights) -> None:
        super().__init__()
        self._weights = weights
        self._step = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._step += 1
        # The mean over the epoch so far: one value that is not finite spoils it for good.
        self._check("loss", (logs or {})["loss"])

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._check("val_loss", (logs or {})["val_cross_entropy"])

    def _check(self, name: str, value: float) -> None:
        if math.isfinite(value):
            return
        best = self._weights
        kept = "there is no checkpoint yet"
        if best.step:
            kept = f"the last good checkpoint is that of step {best.step}, {best.path}"
        raise FloatingPointError(
            f"train: {name} must be a finite number; received {value} at step {self._step}; "
            f"{kept}. Lower train.learning_rate or train.clip_norm, raise train.warmup_share, or "
            "set hardware.precision to float32"
        )


class Speedometer(keras.callbacks.Callback):
    """Counts rows and tokens of training steps, and the time that these steps took.

    Validation is outside its clock, and so is the first step of each batch width: it compiles.
    """

    def __init__(self, num_replicas: int) -> None:
        super().__init__()
        self._num_replicas = num_replicas
        self._widths: set[int] = set()
        self._then = 0.0
        self.num_examples = self.num_tokens = 0.0
        self.seconds = 0.0

    @property
    def examples_per_s(self) -> float:
        """0.0 when every step was one that compiled."""
        return self.num_examples / self.seconds if self.seconds else 0.0

    @property
    def tokens_per_s(self) -> float:
        """As `examples_per_s`; padding is not counted."""
        return self.num_tokens / self.seconds if self.seconds else 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._then = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        now = time.perf_counter()
        width = round((logs or {})["width"])
        if width in self._widths:
            self.seconds += now - self._then
            # Keras gives the mean over the replicas.
            self.num_examples += (logs or {})["examples"] * self._num_replicas
            self.num_tokens += (logs or {})["tokens"] * self._num_replicas
        self._widths.add(width)
        self._then = now


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the epoch of the lowest validation loss; stops when it stays away.

    They are written under another name and then renamed, so that the file is always a whole one.
    """

    def __init__(self, classifier: keras.Model, folder: Path, *, patience: int | None) -> None:
        super().__init__()
        self.path = folder / WEIGHTS_FILE
        self._classifier = classifier
        self._patience = patience
        self._epochs_since = 0
        self._steps_done = 0
        self.step = 0  # 0: none kept yet
        self.loss = math.inf

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._steps_done += 1

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {})["val_cross_entropy"]
        if loss < self.loss:
            self.loss, self.step, self._epochs_since = loss, self._steps_done, 0
            partial = self.path.with_name(f"partial.{self.path.name}")
            self._classifier.save_weights(partial)
            os.replace(partial, self.path)
            return
        self._epochs_since += 1
        if self._patience is not None and self._epochs_since >= self._patience:
            self.model.stop_training = True


class Recorder(keras.callbacks.Callback):
    """Tells of every step and epoch: the log, the history and TensorBoard scalars."""

    def __init__(
        self,
        folder: Path,
        *,
        num_steps: int,
        learning_rate: Callable[[int], float],
        speed: Speedometer,
        log: Log,
    ) -> None:
        super().__init__()
        self.history: list[EpochRecord] = []
        self._folder = folder
        self._num_steps = num_steps
        self._every = max(1, num_steps // 500)  # steps between two points of a curve
        self._learning_rate = learning_rate
        self._speed = speed
        self._log = log
        self._step = 0
        self._started = 0.0
        self._writer: Any = None

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._writer = tf.summary.create_file_writer(str(self._folder))

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._step += 1
        logs = logs or {}
        note = f"loss {logs['cross_entropy']:.3f} acc {logs['accuracy']:.3f}"
        if speed := self._speed.examples_per_s:
            note += f" {speed:.0f} examples/s"
        self._log.progress("train", self._step, self._num_steps, note=note)
        if self._step % self._every == 0:
            rate = self._learning_rate(self._step - 1)
            self._write(
                {"step/mean_loss_of_epoch": logs["cross_entropy"], "step/learning_rate": rate}
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        record = EpochRecord(
            epoch=epoch + 1,
            step=self._step,
            loss=logs["cross_entropy"],
            accuracy=logs["accuracy"],
            val_loss=logs["val_cross_entropy"],
            val_accuracy=logs["val_accuracy"],
            learning_rate=self._learning_rate(self._step - 1),
            seconds=time.perf_counter() - self._started,
        )
        self.history.append(record)
        names = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")
        scalars = {f"epoch/{name}": getattr(record, name) for name in names}
        self._write(scalars | {"epoch/examples_per_s": self._speed.examples_per_s})
        self._log.info(
            f"epoch {record.epoch}: loss {record.loss:.4f}, accuracy {record.accuracy:.4f}, "
            f"val_loss {record.val_loss:.4f}, val_accuracy {record.val_accuracy:.4f}",
            epoch=record.epoch,
            step=record.step,
            loss=record.loss,
            val_loss=record.val_loss,
            val_accuracy=record.val_accuracy,
        )

    def close(self) -> None:
        """Writes out what is buffered; call it also after a failure."""
        if self._writer is not None:
            self._writer.close()

    def _write(self, scalars: dict[str, float]) -> None:
        with self._writer.as_default():
            for name, value in scalars.items():
                tf.summary.scalar(name, value, step=self._step)
