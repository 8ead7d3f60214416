"""Trains on a toy set in a process of its own: `python -m tests.components.training.child JSON`.

Prints one JSON line: a list with the facts of every training it did, one after the other.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any


def main(wanted: dict[str, Any]) -> None:
    from tpuline.pipeline.hardware.config import HardwareConfig
    from tpuline.pipeline.hardware.strategy import ConfiguredHardware

    if "logical_cpus" in wanted:
        split_cpu(wanted["logical_cpus"])

    hardware = ConfiguredHardware(
        HardwareConfig(strategy="cpu", replicas=wanted["replicas"], precision="float32")
    )
    lane = hardware.start()  # before anything else touches TensorFlow
    if wanted.get("a_host_each"):
        lane = a_host_each(hardware)
    facts = [train(hardware, training) for training in wanted["trainings"]]
    moments = {"first_moments": first_moments(lane), "after_overflow": after_overflow(lane)}
    print(json.dumps({"trained": facts} | moments))


def train(hardware: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """One training; `model`, `dropout` and the fields of the stage's config are wanted."""
    from tests.components.training import toy
    from tpuline.components.modeling import BagSpec, BertSpec, GruSpec
    from tpuline.components.presets import fingerprints
    from tpuline.components.stage import Context
    from tpuline.components.train import stage

    dropout = wanted.pop("dropout")
    small = {"num_layers": 1, "hidden_dim": 16, "intermediate_dim": 16}
    preset = {"preset": wanted.pop("preset", None)}
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {
        "bag": (BagSpec, {"embedding_dim": 8, "hidden_dim": 8}),
        "gru": (GruSpec, {"embedding_dim": 8, "units": 8}),
        "bert": (BertSpec, small),
        "mean": (BertSpec, small | {"pooling": "mean"}),
        "tuned": (BertSpec, preset),
        "lora": (BertSpec, preset | {"lora_rank": 2, "remat": True}),
        "frozen": (BertSpec, preset | {"freeze_backbone": True}),
    }
    made, fields = kinds[wanted.pop("model")]
    spec = made(dropout=dropout, **fields)
    with tempfile.TemporaryDirectory() as scratch:
        kind = {name: wanted.pop(name, False) for name in ("several", "pairs")}
        shards = toy.shard_set(Path(scratch) / "shards", **kind)
        if "preset" in fields:
            (known, *_) = fingerprints(fields["preset"], field="", has_text_pair=False)
            shards = dataclasses.replace(shards, tokenizer_fingerprint=known)
        workdir = Path(scratch) / "train"
        workdir.mkdir()
        context = Context(
            workdir=workdir,
            data_dir=workdir,
            seed=7,
            hardware=hardware,
            log=toy.Memory(),
            places={shards.uri: f"file://{shards.uri}"},
        )
        config = stage.Config(model=spec, **wanted)
        trained = stage.run(config, stage.Inputs(shards=shards), context)
        content = (workdir / trained.weights_file).read_bytes()
    return asdict(trained) | {"weights_sha256": hashlib.sha256(content).hexdigest()}


def first_moments(lane: Any) -> list[float]:
    """Adam's first moment after one step whose gradient is 10 on every replica: clipped to 1, and
    as it is."""
    return [_first_moment(lane, clip_norm=clip_norm) for clip_norm in (1.0, 1e9)]


def _first_moment(lane: Any, *, clip_norm: float) -> float:
    import tensorflow as tf

    from tpuline.components.training.optimizer import adamw

    with lane.scope():
        strategy = tf.distribute.get_strategy()
        optimizer = adamw(
            peak=0.1, warmup_steps=0, total_steps=9, weight_decay=0.0, clip_norm=clip_norm
        )
        variable = tf.Variable(0.0)
        optimizer.build([variable])
        step = tf.function(
            lambda: optimizer.apply_gradients(
                [(optimizer.summed([tf.constant(10.0)])[0], variable)]
            )
        )
        strategy.run(step)
        return float(next(v for v in optimizer.variables if "momentum" in v.path).numpy())


def after_overflow(lane: Any) -> tuple[float, float]:
    """A weight of 1 and a loss scale of 8 after an infinite gradient on the last replica."""
    import keras
    import tensorflow as tf

    from tpuline.components.training.optimizer import adamw, summed

    with lane.scope():
        strategy = tf.distribute.get_strategy()
        inner = adamw(peak=0.1, warmup_steps=0, total_steps=9, weight_decay=0.0, clip_norm=1.0)
        optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0)
        variable = tf.Variable(1.0)
        optimizer.build([variable])

        @tf.function
        def step(number: Any) -> None:
            gradient = tf.where(number == lane.num_replicas - 1, float("inf"), 1.0)
            optimizer.apply_gradients([(summed(optimizer, [gradient])[0], variable)])

        numbers = strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(context.replica_id_in_sync_group)
        )
        strategy.run(step, (numbers,))
        return float(variable.numpy()), float(optimizer.dynamic_scale.numpy())


def a_host_each(hardware: Any) -> Any:
    """Lets the replicas read as on a TPU slice of as many hosts, which one process leads."""
    from tpuline.pipeline.hardware import strategy

    lane = hardware.start()
    extended = lane.distribution.extended
    ((_, devices),) = extended._input_workers_devices
    extended._input_workers_devices = [(device, (device,)) for device in devices]
    lane = dataclasses.replace(lane, num_hosts=len(devices))
    strategy._LANES[hardware.config] = lane
    return lane


def split_cpu(number: int) -> None:
    """What a notebook may have done before."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * number
    )
    tf.config.list_logical_devices("CPU")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
