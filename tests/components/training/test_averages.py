"""The average of the weights over the steps is judged and kept; the training goes on without it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.components.train.test_stage import train
from tpuline.components.modeling import build

DECAY = 0.9


class Watch(keras.callbacks.Callback):
    """The weights after each step, and after each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[list[np.ndarray]] = []
        self.epochs: list[list[np.ndarray]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps.append([weight.numpy() for weight in self.model.trainable_weights])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append([weight.numpy() for weight in self.model.trainable_weights])


def test_average_of_the_steps_is_what_is_kept(tmp_path: Path) -> None:
    watch = Watch()
    done = train(
        tmp_path,
        learning_rate=0.03,
        epochs=3,
        steps_per_call=1,
        ema_decay=DECAY,
        callbacks=(watch,),
    )
    averages: list[np.ndarray] = []
    for step, weights in enumerate(watch.steps[: done.trained.best_step]):
        decay = min(DECAY, step / (step + 9))
        averages = [
            decay * average + (1 - decay) * weight
            for average, weight in zip(averages or weights, weights, strict=True)
        ]
    model = build(
        done.trained.model,
        vocabulary_size=done.shards.vocabulary_size,
        sequence_length=done.shards.sequence_length,
        num_labels=2,
        has_text_pair=False,
    )
    model.load_weights(done.workdir / done.trained.weights_file)
    for average, kept in zip(averages, model.trainable_weights, strict=True):
        np.testing.assert_allclose(kept.numpy(), average, atol=1e-5)
    steps_per_epoch = done.trained.num_steps // 3
    for epoch, weights in enumerate(watch.epochs, 1):
        for ours, after in zip(weights, watch.steps[epoch * steps_per_epoch - 1], strict=True):
            np.testing.assert_array_equal(ours, after)


def test_average_is_what_validation_judges(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"learning_rate": 0.3, "epochs": 2, "warmup_share": 0.0}
    plain, averaged = (
        train(_new(tmp_path / name), ema_decay=decay, **fields).trained.history
        for name, decay in (("plain", None), ("averaged", 0.95))
    )
    assert [epoch.loss for epoch in plain] == [epoch.loss for epoch in averaged]
    assert all(one.val_loss != other.val_loss for one, other in zip(plain, averaged, strict=True))


class StopInValidation(keras.callbacks.Callback):
    """Sends SIGTERM to this process during the first validation."""

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def test_stopped_while_the_average_is_judged_it_goes_on_from_the_weights(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"epochs": 2, "steps_per_call": 1, "ema_decay": DECAY}
    with pytest.raises(SystemExit):
        train(_new(tmp_path / "stopped"), callbacks=(StopInValidation(),), **fields)
    ours, whole = (
        train(folder, **fields) for folder in (tmp_path / "stopped", _new(tmp_path / "whole"))
    )
    assert ours.trained.num_resumed == 1
    assert [epoch.loss for epoch in ours.trained.history] == [
        epoch.loss for epoch in whole.trained.history
    ]
    weights = [(done.workdir / done.trained.weights_file).read_bytes() for done in (ours, whole)]
    assert weights[0] == weights[1]


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder
