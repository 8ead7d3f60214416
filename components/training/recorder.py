"""Tells of every window and epoch: the log, the history, and curves for the sinks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import keras

from ..contracts import EpochRecord, InputVerdict
from ..stage import Log
from .sinks import Mlflow, Sink
from .speed import Speedometer
from .trainee import Trainee

_POINTS = 500  # of a curve, at most


class Recorder(keras.callbacks.Callback):
    """Keeps the curves, so that a training that was interrupted shows them whole."""

    def __init__(
        self,
        trainee: Trainee,
        open_sinks: Callable[[str | None], Sequence[Sink]],
        *,
        num_steps: int,
        learning_rate: Callable[[int], float],
        speed: Speedometer,
        log: Log,
    ) -> None:
        super().__init__()
        self.history: list[EpochRecord] = []
        self._trainee, self._open_sinks = trainee, open_sinks
        self._sinks: Sequence[Sink] = ()
        self._mlflow_run: str | None = None
        self._num_steps = num_steps
        self._every = max(1, num_steps // _POINTS)  # steps between two points of a curve
        self._learning_rate, self._speed, self._log = learning_rate, speed, log
        self._points: list[tuple[int, dict[str, float]]] = []
        self._next_point = 0
        self._examples_per_s = 0.0  # as the last point of the curve has it
        self._seconds = 0.0  # of the epoch so far
        self._then = 0.0

    def facts(self) -> dict[str, Any]:
        """What a later attempt needs, as JSON types."""
        return {
            "history": [asdict(record) for record in self.history],
            "points": self._points,
            "seconds": self._seconds,
            "mlflow_run": self._mlflow_run,
            "next_point": self._next_point,
        }

    def restore(self, facts: dict[str, Any]) -> None:
        """Takes up what `facts` told."""
        self.history = [EpochRecord(**record) for record in facts["history"]]
        self._points = [(step, scalars) for step, scalars in facts["points"]]
        self._seconds = facts["seconds"]
        self._mlflow_run = facts["mlflow_run"]
        self._next_point = facts["next_point"]

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._then = time.perf_counter()
        if self._sinks:  # taken up again in this process
            return
        before, self._sinks = self._mlflow_run, self._open_sinks(self._mlflow_run)
        for sink in self._sinks:
            if isinstance(sink, Mlflow):
                self._mlflow_run = sink.run_id
            if not isinstance(sink, Mlflow) or before is None:
                for step, scalars in self._points:  # of the attempts before this one
                    sink.write(step, scalars)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._clock()
        logs = logs or {}
        step = self._trainee.progress.num_steps
        window, is_point = self._trainee.window, step >= self._next_point
        lap = self._speed.lap() if window.rows and is_point else {}
        self._examples_per_s = lap.get("examples_per_s", self._examples_per_s)
        hits = "label acc" if "micro_f1" in logs else "acc"  # of labels, not of whole rows
        note = f"loss {logs['loss']:.3f} {hits} {logs['accuracy']:.3f}"
        if self._examples_per_s:
            note += f" {self._examples_per_s:.0f} examples/s"
        self._log.progress("train", step, self._num_steps, note=note)
        if window.rows and is_point:
            self._next_point = step + self._every
            self._point(
                step,
                {
                    "step/loss": window.means()["loss"],
                    "step/mean_loss_of_epoch": logs["loss"],
                    "step/learning_rate": self._learning_rate(step - 1),
                    **{f"step/{name}": value for name, value in lap.items()},
                },
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._clock()
        logs = logs or {}
        step = self._trainee.progress.num_steps
        record = EpochRecord(
            epoch=epoch + 1,
            step=step,
            loss=logs["loss"],
            accuracy=logs["accuracy"],
            val_loss=logs["val_loss"],
            val_accuracy=logs["val_accuracy"],
            learning_rate=self._learning_rate(max(step - 1, 0)),
            seconds=self._seconds,
            micro_f1=logs.get("micro_f1"),
            val_micro_f1=logs.get("val_micro_f1"),
        )
        self._seconds = 0.0
        self.history.append(record)
        names = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")
        scalars = {name: getattr(record, name) for name in (*names, "micro_f1", "val_micro_f1")}
        self._point(
            step, {f"epoch/{n}": value for n, value in scalars.items() if value is not None}
        )
        f1 = record.val_micro_f1
        hits = "accuracy" if f1 is None else "label_accuracy"
        self._log.info(
            f"epoch {record.epoch}: loss {record.loss:.4f}, {hits} {record.accuracy:.4f}, "
            f"val_loss {record.val_loss:.4f}, val_{hits} {record.val_accuracy:.4f}"
            + ("" if f1 is None else f", val_micro_f1 {f1:.4f}"),
            epoch=record.epoch,
            step=record.step,
            loss=record.loss,
            val_loss=record.val_loss,
            val_accuracy=record.val_accuracy,
        )

    def judged(self, verdict: InputVerdict) -> None:
        """Curves of one point: how long the whole training waited for its input."""
        self._point(
            self._trainee.progress.num_steps,
            {
                "input/wait_share": verdict.wait_share,
                "input/examples_per_s_without_it": verdict.examples_per_s_without_input,
            },
        )

    def close(self, *, finished: bool) -> None:
        """Writes out what is buffered; call it also after a failure."""
        for sink in self._sinks:
            sink.close(finished=finished)
        self._sinks = ()

    def _clock(self) -> None:
        now = time.perf_counter()
        self._seconds += now - self._then
        self._then = now

    def _point(self, step: int, scalars: dict[str, float]) -> None:
        self._points.append((step, scalars))
        for sink in self._sinks:
            sink.write(step, scalars)
