"""What is kept and watched while Keras trains: the best weights, averages, masks, who stops."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras

from .lesson import Masks
from .optimizer import swap_averages
from .recorder import Recorder
from .speed import Speedometer
from .trainee import Trainee

WEIGHTS_FILE = "best.weights.h5"


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the best epoch on validation; stops when no better one comes.

    `by` loss, the lowest is best; by accuracy, the highest, and of equal ones that of less loss.

    They are written under another name and then renamed, so that the file is always a whole one.
    What is before step `from_step` does not count.
    """

    def __init__(
        self,
        trainee: Trainee,
        save: Callable[[Path], None],
        folder: Path,
        *,
        by: Literal["loss", "accuracy"],
        patience: int | None,
        from_step: int = 0,
    ) -> None:
        super().__init__()
        self._from_step = from_step
        self.path = folder / WEIGHTS_FILE
        self._trainee, self._save = trainee, save
        self._by, self._patience = by, patience
        self.epochs_since = 0
        self.step = 0  # 0: none kept yet
        self.loss = math.inf
        self.accuracy = -math.inf

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        loss, accuracy = ((logs or {})[name] for name in ("val_loss", "val_accuracy"))
        step = self._trainee.progress.num_steps
        if step < self._from_step:
            return
        if self._is_better(loss, accuracy):
            self.loss, self.accuracy, self.step, self.epochs_since = loss, accuracy, step, 0
            self._keep()
            return
        self.epochs_since += 1
        if self._patience is not None and self.epochs_since >= self._patience:
            self.model.stop_training = True

    def _keep(self) -> None:
        partial = self.path.with_name(f"partial.{self.path.name}")
        try:
            self._save(partial)
            os.replace(partial, self.path)
        except (OSError, RuntimeError) as error:  # h5py has both for a full disk
            partial.unlink(missing_ok=True)
            raise OSError(
                f"train: the best weights could not be written to {self.path.parent} ({error}); "
                "make room and run the same command again: it goes on from the last checkpoint"
            ) from error

    def _is_better(self, loss: float, accuracy: float) -> bool:
        if self._by == "loss":
            return loss < self.loss
        return (accuracy, -loss) > (self.accuracy, -self.loss)

    def facts(self) -> dict[str, Any]:
        """As JSON types."""
        found = {"step": self.step, "since": self.epochs_since}
        return found | ({"loss": self.loss, "accuracy": self.accuracy} if self.step else {})

    def restore(self, facts: dict[str, Any]) -> None:
        """Takes up what `facts` told."""
        self.step, self.epochs_since = facts["step"], facts["since"]
        self.loss = facts.get("loss", math.inf)
        self.accuracy = facts.get("accuracy", -math.inf)


class Averaged(keras.callbacks.Callback):
    """Has the average of the weights judged on validation, and kept if it is the best so far.

    The two change places when validation begins, and again at `as_trained`.
    """

    def __init__(self, trainee: Trainee) -> None:
        super().__init__()
        self._trainee = trainee
        self._is_swapped = False

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        if not self._is_swapped:
            swap_averages(self._trainee.optimizer)
            self._is_swapped = True

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.as_trained()

    def as_trained(self) -> None:
        """Puts the weights back that the training goes on from."""
        if self._is_swapped:
            swap_averages(self._trainee.optimizer)
            self._is_swapped = False

    def restored(self) -> None:
        """All variables are those of a checkpoint, which holds them as they are trained."""
        self._is_swapped = False


@dataclass(kw_only=True)
class Books:
    """What a training has to remember besides its variables."""

    best: BestWeights
    recorder: Recorder
    speed: Speedometer
    averaged: Averaged | None = None
    num_resumed: int = 0

    def facts(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "best": self.best.facts(),
            "recorder": self.recorder.facts(),
            "speed": self.speed.facts(),
            "num_resumed": self.num_resumed,
        }

    def restore(self, facts: dict[str, Any], *, same_hardware: bool) -> None:
        """Takes up what `facts` told, but for speeds of other hardware."""
        self.best.restore(facts["best"])
        self.recorder.restore(facts["recorder"])
        if same_hardware:
            self.speed.restore(facts["speed"])
        self.num_resumed = max(self.num_resumed, facts["num_resumed"])


class StoppingTogether(keras.callbacks.Callback):
    """Ends the training of all workers with the epoch in which a callback of one of them ends it.

    Put it after those: what they ask for within an epoch waits for its end.
    """

    def __init__(self, trainee: Trainee) -> None:
        super().__init__()
        self._trainee = trainee
        self._is_asked = False

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._is_asked = self._is_asked or self.model.stop_training
        self.model.stop_training = False

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        asked, self._is_asked = self._is_asked or self.model.stop_training, False
        self.model.stop_training = self._trainee.one_says(asked)


class Masking(keras.callbacks.Callback):
    """Sets the masks anew after each window of steps, until they are to stay.

    From then on it only puts back to 0 what has moved.
    """

    def __init__(self, trainee: Trainee, masks: Masks) -> None:
        super().__init__()
        self._trainee, self._masks = trainee, masks
        self._step = 0  # at the last update

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._step = self._trainee.progress.num_steps

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        before, self._step = self._step, self._trainee.progress.num_steps
        if before < self._masks.final_step:
            self._masks.update(self._step)
        else:
            self._masks.apply()
