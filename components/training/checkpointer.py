"""Saves checkpoints while Keras trains, and goes on from one."""

from __future__ import annotations

import signal
import threading
from dataclasses import asdict
from typing import Any

import keras
import numpy as np

from ..stage import Log
from .callbacks import Books
from .checkpoint import Checkpoint, Checkpoints
from .progress import Progress, Totals
from .trainee import Trainee

EXIT_CODE = 128 + signal.SIGTERM


class Checkpointer(keras.callbacks.Callback):
    """Saves a checkpoint at the start, every `every` steps, after each epoch and on SIGTERM.

    On SIGTERM, which preempted machines get, the process ends with exit code 143 once it is saved:
    after the window of steps that is on its way. All that train together end so, one window later.
    Put it last: it saves what the others noted.
    """

    def __init__(
        self,
        trainee: Trainee,
        checkpoints: Checkpoints,
        books: Books,
        *,
        plan: dict[str, Any],
        hardware: str,
        every: int,
        log: Log,
    ) -> None:
        super().__init__()
        self._plan = plan  # what decides in which order rows come, as JSON types
        self._hardware = [hardware]  # in words; all that it was trained on, this one last
        self._trainee, self._checkpoints, self._books = trainee, checkpoints, books
        self._every, self._log = every, log
        self._totals = Totals()  # of the epoch so far
        self._saved_at: int | None = None
        self._restored = False
        self._former: Any = None

    def restore(self, checkpoint: Checkpoint) -> None:
        """Puts everything back to where `checkpoint` was saved.

        On other hardware it goes on as well, with a warning and a clock that begins anew.

        Raises:
            ValueError: it is of other batches or another number of hosts.
        """
        if checkpoint.facts["plan"] != self._plan:
            raise ValueError(
                f"train: a checkpoint must be of the same batches and hosts, {self._plan}; "
                f"received {checkpoint.folder} of {checkpoint.facts['plan']}; train with as many "
                "workers as before, or remove that folder to start anew"
            )
        _assign(variables(self._trainee), checkpoint.arrays())
        if self._books.averaged is not None:
            self._books.averaged.restored()
        facts = checkpoint.facts
        skipped = self._trainee.progress.skipped  # of this process, and so the newer
        self._trainee.progress = Progress(
            **facts["progress"] | ({"skipped": skipped} if skipped else {})
        )
        self._totals = Totals(**facts["totals"])
        *others, ours = self._trained_on(facts["hardware"])
        self._books.restore(facts["books"], same_hardware=facts["hardware"][-1] == ours)
        if others:
            self._log.warning(
                f"train: going on at step {checkpoint.step:,} on {ours}, and was on "
                f"{'; '.join(others)} before: weights and curves are of none of them alone, and "
                "speeds of the last"
            )
        checkpoint.fetch_best(self._books.best.path)
        self._saved_at, self._restored = checkpoint.step, True

    def _trained_on(self, before: list[str]) -> list[str]:
        """With that of this process last."""
        ours = self._hardware[-1]
        self._hardware = [*(one for one in before if one != ours), ours]
        return self._hardware

    def save(self) -> None:
        """Saves the state after the last window."""
        if self._books.averaged is not None:
            self._books.averaged.as_trained()
        progress = self._trainee.progress
        arrays = self._finite_arrays()
        facts = {
            "plan": self._plan,
            "hardware": self._hardware,
            "progress": asdict(progress),
            "totals": asdict(self._totals),
            "books": self._books.facts(),
        }
        best = self._books.best.path
        self._checkpoints.save(
            progress.num_steps,
            facts=facts,
            arrays=arrays,
            best=best if self._books.best.step else None,
        )
        self._saved_at = progress.num_steps

    def _finite_arrays(self) -> dict[str, np.ndarray]:
        arrays = {name: np.asarray(v) for name, v in variables(self._trainee).items()}
        for name, values in arrays.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                self._trainee.blame(f"every weight must be finite; received {name}")
        return arrays

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        if self._former is None and threading.current_thread() is threading.main_thread():
            self._former = signal.signal(signal.SIGTERM, self._stop_soon)
        if self._saved_at is None:
            self.save()

    def close(self) -> None:
        """Gives SIGTERM back to whoever had it."""
        if self._former is not None:
            signal.signal(signal.SIGTERM, self._former)
            self._former = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        progress = self._trainee.progress
        if self._restored and epoch == progress.epoch:
            self._trainee.totals = Totals(**asdict(self._totals))
        else:
            progress.epoch, progress.step, self._totals = epoch, 0, Totals()
        self._restored = False

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._totals = Totals(**asdict(self._trainee.totals))
        done = self._trainee.progress.num_steps
        if self._trainee.must_stop:
            self._stop()
        elif done - (self._saved_at or 0) >= self._every:
            self.save()

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self._trainee.must_stop:
            self._stop()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._finite_arrays()  # while it is known which window was the last
        progress = self._trainee.progress
        progress.epoch, progress.step, self._totals = epoch + 1, 0, Totals()
        progress.is_over = self.model.stop_training
        self.save()

    def stop_if_told(self) -> None:
        """Call it after the last window: there is none left to tell others in."""
        if self._trainee.wants_to_stop:
            self._stop()

    def _stop_soon(self, signum: int, frame: Any) -> None:
        self._trainee.wants_to_stop = True

    def _stop(self) -> None:
        self.save()
        step = self._trainee.progress.num_steps
        self._log.info(
            f"train: told to stop (SIGTERM); the checkpoint of step {step} is saved; run the same "
            "command again to go on",
            step=step,
        )
        raise SystemExit(EXIT_CODE)


def variables(trainee: Trainee) -> dict[str, Any]:
    """Every variable that a step reads or writes, random states included, by a unique name."""
    every = [*trainee.variables, *trainee.optimizer.variables]
    unique = {id(variable): variable for variable in every}.values()
    return {f"{i:05d}/{variable.path}": variable for i, variable in enumerate(unique)}


def _assign(variables: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    if set(variables) != set(arrays):
        odd = sorted(set(variables) ^ set(arrays))[0]
        raise ValueError(
            f"train: a checkpoint must hold the variables of this model and optimizer; {odd} is "
            "in one of them only; remove the folder of checkpoints to train from the start"
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])
