"""HardwareConfig -> devices ready to use: the only file that knows distribution and dtype policies.

TensorFlow is imported by `ConfiguredHardware.start`, not before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import HardwareConfig
from .devices import TPU_VARIABLES, tpu_evidence

if TYPE_CHECKING:
    from ...components.stage import Lane

_LANES: dict[HardwareConfig, ConfiguredLane] = {}


@dataclass(frozen=True, kw_only=True)
class ConfiguredLane:
    """Fulfils `components.stage.Lane`. `distribution` None is TensorFlow's default strategy."""

    strategy_name: str
    num_replicas: int
    precision: str
    description: str
    distribution: Any

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Sets strategy and dtype policy, and puts both back at the end."""
        import keras

        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.precision)
        try:
            with self.distribution.scope() if self.distribution is not None else nullcontext():
                yield
        finally:
            keras.config.set_dtype_policy(before)


class ConfiguredHardware:
    """Fulfils `components.stage.Hardware` for the `hardware` section of a config."""

    def __init__(self, config: HardwareConfig) -> None:
        self.config = config

    def start(self) -> Lane:
        """The lane of this config, the same one on every call in this process.

        On CPUs it also makes TensorFlow's ops deterministic for the rest of the process, so that
        two runs give the same weights bit by bit. GPUs are left at full speed.

        Raises:
            ValueError: the config asks for what this machine does not have.
            RuntimeError: TensorFlow has already set up the CPU with fewer logical devices.
        """
        if self.config not in _LANES:
            _LANES[self.config] = _start(self.config)
        return _LANES[self.config]


def _start(config: HardwareConfig) -> ConfiguredLane:
    import tensorflow as tf

    evidence = tpu_evidence(os.environ, Path("/")) if config.tpu_address is None else "tpu_address"
    if config.strategy == "tpu" or (config.strategy == "auto" and evidence):
        return _tpu(config, evidence)
    gpus = tf.config.list_physical_devices("GPU")
    if config.strategy == "mirrored" or (config.strategy == "auto" and gpus):
        return _gpus(config, gpus)
    return _cpus(config)


def _tpu(config: HardwareConfig, evidence: str | None) -> ConfiguredLane:
    import tensorflow as tf

    if evidence is None:
        raise ValueError(
            "hardware.strategy: tpu needs a TPU; received a machine without: none of the "
            f"variables {', '.join(TPU_VARIABLES)}, no /dev/accel*, no TPU behind "
            "/dev/vfio; set hardware.tpu_address, or use auto or cpu"
        )
    precision = resolve_precision(config.precision, strategy="tpu")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(config.tpu_address or "local")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        distribution = tf.distribute.TPUStrategy(resolver)
    except (tf.errors.OpError, ValueError) as error:
        raise ValueError(
            f"hardware.strategy: a TPU that can be started is needed; received one by {evidence} "
            f"that answered: {error}; `tpuline doctor` looks for the reason"
        ) from error
    num_replicas = distribution.num_replicas_in_sync
    if config.replicas not in (None, num_replicas):
        raise ValueError(
            f"hardware.replicas: must be null or {num_replicas}, the cores of this TPU; "
            f"received {config.replicas}; set it to null"
        )
    return ConfiguredLane(
        strategy_name="tpu",
        num_replicas=num_replicas,
        precision=precision,
        description=f"{num_replicas} x TPU core, {precision}",
        distribution=distribution,
    )


def _gpus(config: HardwareConfig, gpus: list[Any]) -> ConfiguredLane:
    import tensorflow as tf

    if not gpus:
        raise ValueError(
            "hardware.strategy: mirrored needs a GPU; received a machine on which TensorFlow sees "
            "none; use cpu with hardware.replicas to run several replicas on the CPU"
        )
    num_replicas = config.replicas or len(gpus)
    if num_replicas > len(gpus):
        raise ValueError(
            f"hardware.replicas: must be at most {len(gpus)}, the GPUs of this machine; "
            f"received {num_replicas}; set it to null to use them all"
        )
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus[:num_replicas]]
    capability = min(tuple(d.get("compute_capability", (0, 0))) for d in details)
    precision = resolve_precision(config.precision, strategy="mirrored", capability=capability)
    name = details[0].get("device_name", "GPU")
    return ConfiguredLane(
        strategy_name="mirrored",
        num_replicas=num_replicas,
        precision=precision,
        description=f"{num_replicas} x {name}, {precision}",
        distribution=tf.distribute.MirroredStrategy([f"GPU:{i}" for i in range(num_replicas)]),
    )


def _cpus(config: HardwareConfig) -> ConfiguredLane:
    import tensorflow as tf

    num_replicas = config.replicas or 1
    precision = resolve_precision(config.precision, strategy="cpu")
    distribution = None
    if num_replicas > 1:
        _split_cpu(num_replicas)
        distribution = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(num_replicas)])
    tf.config.experimental.enable_op_determinism()
    logical = " (logical replicas)" if num_replicas > 1 else ""
    return ConfiguredLane(
        strategy_name="cpu",
        num_replicas=num_replicas,
        precision=precision,
        description=f"{num_replicas} x CPU{logical}, {precision}",
        distribution=distribution,
    )


def _split_cpu(num_devices: int) -> None:
    """Makes sure of at least `num_devices` logical CPUs, which only a fresh process can add."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    planned = tf.config.get_logical_device_configuration(cpu) or ()
    if len(planned) < num_devices:
        try:
            devices = [tf.config.LogicalDeviceConfiguration()] * num_devices
            tf.config.set_logical_device_configuration(cpu, devices)
        except RuntimeError as error:
            now = len(tf.config.list_logical_devices("CPU"))
            raise RuntimeError(
                f"hardware.replicas: {num_devices} CPU replicas need as many logical CPU devices; "
                f"received a process in which TensorFlow has already started with {now}; restart "
                "the process or notebook kernel and run this first, or set hardware.replicas "
                f"to {now}"
            ) from error


def resolve_precision(
    precision: str, *, strategy: str, capability: tuple[int, ...] = (0, 0)
) -> str:
    """The Keras dtype policy for a strategy; `capability` is the GPU's compute capability.

    `auto`: bfloat16 where the chip multiplies it (TPU, GPU from 8.0), float16 with loss scaling on
    GPUs of 7.x, float32 elsewhere.
    """
    if precision == "mixed_float16" and strategy == "tpu":
        raise ValueError(
            "hardware.precision: must be mixed_bfloat16 or float32 on a TPU, which computes no "
            "float16; received mixed_float16; use auto"
        )
    if precision != "auto":
        return precision
    if strategy == "tpu" or capability >= (8, 0):
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= (7, 0) else "float32"
