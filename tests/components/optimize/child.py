"""Variants that are trained, on logical replicas: `python -m tests.components.optimize.child N`.

Prints one JSON line: by variant, its losses and accuracies, epoch after epoch.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any


def main(num_replicas: int) -> None:
    from tests.components.training import toy
    from tpuline.components.modeling import BertSpec
    from tpuline.components.optimize import stage
    from tpuline.components.optimize.variants import Distill, Prune, Shrink
    from tpuline.components.stage import Context
    from tpuline.components.train import stage as train
    from tpuline.pipeline.hardware.config import HardwareConfig
    from tpuline.pipeline.hardware.strategy import ConfiguredHardware

    hardware = ConfiguredHardware(
        HardwareConfig(strategy="cpu", replicas=num_replicas, precision="float32")
    )
    hardware.start()  # before anything else touches TensorFlow
    variants = {
        "distill": Distill(num_layers=1, epochs=2, learning_rate=1e-2),
        "prune": Prune(epochs=2, learning_rate=3e-3),
        "shrink": Shrink(rows=60, epochs=1, learning_rate=3e-3),
    }
    spec = BertSpec(
        num_layers=2, hidden_dim=16, num_heads=4, intermediate_dim=24, pooling="mean", dropout=0.0
    )
    with tempfile.TemporaryDirectory() as scratch:
        # 90 rows in batches of 16: the last one holds 10, and two replicas share it unevenly.
        shards = toy.shard_set(Path(scratch) / "shards")

        def context(name: str) -> Context:
            folder = Path(scratch) / name
            folder.mkdir()
            return Context(
                workdir=folder, data_dir=folder, seed=7, hardware=hardware, log=toy.Memory()
            )

        config = train.Config(
            model=spec, epochs=2, global_batch_size=16, learning_rate=1e-2, buckets=(8,)
        )
        model = train.run(config, train.Inputs(shards=shards), context("train"))
        made = {"model": model} | {
            name: stage.run(variant, stage.Inputs(shards=shards, model=model), context(name))
            for name, variant in variants.items()
        }
    print(json.dumps({name: losses(one) for name, one in made.items()}))


def losses(trained: Any) -> list[float]:
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    return [getattr(epoch, name) for epoch in trained.history for name in names]


if __name__ == "__main__":
    main(int(sys.argv[1]))
