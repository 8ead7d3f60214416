"""A training that is interrupted: `python -m tests.components.training.resume_child JSON`.

It sends itself the wanted signal at or soon after the wanted step, and prints the facts of a
training that came to its end as one JSON line.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tests.components.training import toy
from tpuline.components.modeling import BagSpec, BertSpec
from tpuline.components.stage import Context
from tpuline.components.train import stage
from tpuline.components.training import fitting, speed
from tpuline.pipeline.hardware.config import HardwareConfig
from tpuline.pipeline.hardware.strategy import ConfiguredHardware

BERT = BertSpec(num_layers=1, hidden_dim=16, intermediate_dim=16, dropout=0.1, remat=True)
TRAININGS: dict[str, tuple[str, dict[str, Any]]] = {
    "bag": (
        "float32",
        {"model": BagSpec(embedding_dim=8, hidden_dim=8, dropout=0.1), "ema_decay": 0.9},
    ),
    # Whatever else a step may keep: the scale of the loss, parts, a bucket's seeds.
    "bert": (
        "mixed_float16",
        {"model": BERT, "accumulate_steps": 2, "buckets": (6, 10), "ema_decay": 0.9},
    ),
}
"""Precision, and fields of the stage's config."""


class Interrupting(toy.Memory):
    """Ends its own process once enough steps are done; by SIGKILL a moment later, in the middle of
    whatever is going on then: a window of steps, a checkpoint."""

    def __init__(self, at_step: int, signum: int) -> None:
        super().__init__()
        self._at_step, self._signum = at_step, signum

    def progress(self, task: str, completed: float, total: float | None, note: str = "") -> None:
        super().progress(task, completed, total, note)
        if self._signum and completed >= self._at_step:
            if self._signum == signal.SIGKILL:
                moment, self._signum = random.uniform(0, 0.05), 0
                threading.Timer(moment, os.kill, (os.getpid(), signal.SIGKILL)).start()
            else:
                os.kill(os.getpid(), self._signum)


def train(folder: Path, *, model: str, hardware: Any, log: toy.Memory) -> dict[str, Any]:
    """One training under `folder`, from where an earlier one ended."""
    _, fields = TRAININGS[model]
    config = stage.Config(
        epochs=2, global_batch_size=8, steps_per_call=2, checkpoint_every=3, **fields
    )
    shards = toy.shard_set(folder / "shards")
    workdir = folder / "train"
    workdir.mkdir(exist_ok=True)
    context = Context(workdir=workdir, data_dir=folder, seed=7, hardware=hardware, log=log)
    trained = stage.run(config, stage.Inputs(shards=shards), context)
    content = (workdir / trained.weights_file).read_bytes()
    said = [message for message, _ in log.infos]
    return asdict(trained) | {"sha256": hashlib.sha256(content).hexdigest(), "said": said}


def spoiling(*steps: int) -> type[speed.Speedometer]:
    """Takes the place of `fitting.Speedometer`: spoils a weight after some steps, once each, as a
    broken chip might."""
    left = list(steps)

    class Spoiling(speed.Speedometer):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            super().on_train_batch_end(batch, logs)
            if left and self._trainee.progress.num_steps >= left[0]:
                left.pop(0)
                self._trainee.get_layer("logits").bias.assign([np.nan, 0.0])

    return Spoiling


def main(wanted: dict[str, Any]) -> None:
    if "spoilt_after" in wanted:
        fitting.Speedometer = spoiling(*wanted["spoilt_after"])  # type: ignore[misc]
    hardware = ConfiguredHardware(
        HardwareConfig(
            strategy="cpu", replicas=wanted["replicas"], precision=TRAININGS[wanted["model"]][0]
        )
    )
    log = Interrupting(wanted.get("at_step", 0), wanted.get("signum", 0))
    print(
        json.dumps(train(Path(wanted["folder"]), model=wanted["model"], hardware=hardware, log=log))
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
