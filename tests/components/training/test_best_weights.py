"""Which epoch's weights are kept, and when no better one is waited for."""

from __future__ import annotations

import resource
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import keras
import pytest

from tpuline.components.training.callbacks import BestWeights

EPOCHS = [(0.40, 0.80), (0.30, 0.85), (0.35, 0.90), (0.33, 0.90), (0.50, 0.88)]
"""Loss and accuracy on validation."""


def after(
    folder: Path, by: Literal["loss", "accuracy"], *, patience: int | None = None, given: Any = None
) -> BestWeights:
    progress = SimpleNamespace(num_steps=0)
    trainee: Any = SimpleNamespace(progress=progress)
    best = BestWeights(
        trainee,
        lambda path: path.write_text(str(progress.num_steps)),  # type: ignore[arg-type, return-value]
        folder,
        by=by,
        patience=patience,
    )
    best.set_model(SimpleNamespace(stop_training=False))
    for number, (loss, accuracy) in enumerate(given or EPOCHS, 1):
        if best.model.stop_training:
            break
        progress.num_steps = number
        best.on_epoch_end(number, {"val_loss": loss, "val_accuracy": accuracy})
    return best


@pytest.mark.parametrize(("by", "step"), [("loss", 2), ("accuracy", 4)])
def test_best_epoch_is_that_of_the_metric(
    tmp_path: Path, by: Literal["loss", "accuracy"], step: int
) -> None:
    best = after(tmp_path, by)
    assert best.step == step and (tmp_path / "best.weights.h5").read_text() == str(step)
    assert (best.loss, best.accuracy) == EPOCHS[step - 1]


def test_no_better_one_is_waited_for_longer_than_patience(tmp_path: Path) -> None:
    assert after(tmp_path, "loss", patience=1).epochs_since == 1
    assert after(tmp_path, "accuracy", patience=1).step == 4


@pytest.mark.parametrize("by", ["loss", "accuracy"])
def test_what_is_best_is_told_and_restored(tmp_path: Path, by: Literal["loss", "accuracy"]) -> None:
    told, again = after(tmp_path, by), after(tmp_path, by, given=EPOCHS[:1])
    again.restore(told.facts())
    assert again.facts() == told.facts()
    none = after(tmp_path, by, given=[(float("nan"), float("nan"))])
    assert none.facts() == {"step": 0, "since": 1}
    again.restore(none.facts())
    again.on_epoch_end(9, {"val_loss": 9.0, "val_accuracy": 0.1})
    assert again.loss == 9.0


def test_disk_that_is_full_keeps_the_best_before_and_says_what_to_do(tmp_path: Path) -> None:
    layer = keras.layers.Dense(64)
    layer.build((None, 1024))  # 256 KiB
    model = keras.Sequential([keras.Input((1024,)), layer])
    trainee: Any = SimpleNamespace(progress=SimpleNamespace(num_steps=1))
    best = BestWeights(trainee, model.save_weights, tmp_path, by="loss", patience=None)
    best.on_epoch_end(0, {"val_loss": 0.5, "val_accuracy": 0.5})
    kept = best.path.read_bytes()
    layer.kernel.assign(layer.kernel + 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(
            OSError, match=r"(?s)^train: the best weights could not .*; make room and"
        ):
            best.on_epoch_end(1, {"val_loss": 0.4, "val_accuracy": 0.6})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert best.path.read_bytes() == kept
    assert [path.name for path in tmp_path.iterdir()] == [best.path.name]
