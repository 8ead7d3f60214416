"""What a training that is taken up again tells of itself."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest
import tensorflow as tf

from tests.components.train.test_stage import train as train_toy
from tests.components.training import toy


class Stopping(toy.Memory):
    """Interrupts a training after some steps."""

    def __init__(self, steps: int = 20) -> None:
        super().__init__()
        self._steps = steps

    def progress(self, task: str, completed: float, total: float | None, note: str = "") -> None:
        super().progress(task, completed, total, note)
        if completed >= self._steps:
            raise KeyboardInterrupt


def test_training_goes_on_with_another_precision_and_says_so(tmp_path: Path) -> None:
    fields = {"epochs": 4, "steps_per_call": 2, "checkpoint_every": 4}
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path, log=Stopping(), **fields)
    again = Stopping(24)
    with pytest.raises(KeyboardInterrupt):  # the one that ends it tells, too
        train_toy(tmp_path, precision="mixed_bfloat16", log=again, **fields)
    log = toy.Memory()
    made = train_toy(tmp_path, precision="mixed_bfloat16", log=log, **fields)
    told = [line for line, _ in log.infos if "and was on" in line]
    assert told == [
        "train: going on at step 20 on 1 x cpu, mixed_bfloat16, and was on 1 x cpu, float32 "
        "before: weights and curves are of none of them alone, and speeds of the last"
    ]
    assert made.trained.num_resumed == 2
    assert 0 < sum(made.trained.timed_steps) <= made.trained.num_steps - 16 - 2


def test_profile_after_an_interruption_is_of_steps_that_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras counts through the windows that were done before."""
    fields = {"epochs": 4, "steps_per_call": 2, "checkpoint_every": 4, "profile": True}
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path, log=Stopping(), **fields)
    seen: list[int] = []
    running = False

    def switch(on: bool) -> None:
        nonlocal running
        running = on

    monkeypatch.setattr(tf.profiler.experimental, "start", lambda folder: switch(True))
    monkeypatch.setattr(tf.profiler.experimental, "stop", lambda: switch(False))
    look = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: seen.append(batch) if running else None
    )
    train_toy(tmp_path, callbacks=(look,), **fields)
    first = 4  # batch of the second epoch at which it went on
    assert len(seen) == 2 and all(batch > first for batch in seen)
