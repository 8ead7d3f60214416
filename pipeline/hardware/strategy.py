"""HardwareConfig -> devices ready to use: the only file that knows distribution and dtype policies.

TensorFlow is imported by `ConfiguredHardware.start`, not before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cluster import VARIABLE, Cluster, cluster
from .config import HardwareConfig
from .devices import TPU_VARIABLES, find_tpu, tpu_evidence
from .precision import resolve_precision

if TYPE_CHECKING:
    from ...components.stage import Lane

_INFINITE = -1  # tf.data.INFINITE_CARDINALITY
_LANES: dict[HardwareConfig, ConfiguredLane] = {}


@dataclass(frozen=True, kw_only=True)
class ConfiguredLane:
    """Fulfils `components.stage.Lane`. `distribution` None is TensorFlow's default strategy."""

    strategy_name: str
    num_replicas: int
    precision: str
    description: str
    distribution: Any
    accelerator: str = ""
    num_workers: int = 1
    num_hosts: int = 1
    worker_index: int = 0

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Sets strategy and dtype policy, and puts both back at the end."""
        with (
            dtype_policy(self.precision),
            self.distribution.scope() if self.distribution is not None else nullcontext(),
        ):
            yield

    def feed(self, make: Callable[[int, int], Any]) -> Any:
        """See `components.stage.Lane`. The dataset is endless for TensorFlow.

        A strategy that knows no end asks the replicas before each batch whether they have one, and
        makes shapes dynamic. `fit` is told how many batches there are.
        """
        import tensorflow as tf

        untuned = _untuned()
        if self.distribution is None:
            return make(0, 1).with_options(untuned)

        def of_a_replica(context: Any) -> Any:
            """A dataset of parts, of which every replica of the host takes one at a time."""
            index, count = context.input_pipeline_id, context.num_input_pipelines
            num_parts = self.num_replicas // count
            batches = make(index, count).apply(tf.data.experimental.assert_cardinality(_INFINITE))
            parts = batches.map(partial(_cut, num_parts), num_parallel_calls=2, deterministic=True)
            return parts.unbatch().prefetch(2 * num_parts).with_options(untuned)

        # Prefetched to its device, a replica waits for its input with a thread in hand: more
        # logical replicas than threads wait for ever.
        fetch = self.strategy_name != "cpu"
        if not fetch:
            _untune_iterators_of_replicas()
        options = tf.distribute.InputOptions(experimental_fetch_to_device=fetch)
        return self.distribution.distribute_datasets_from_function(of_a_replica, options)


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Keras' default policy, put back at the end."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _untuned() -> Any:
    """Options without tf.data's tuning.

    Its thread sleeps for up to a minute, and an iterator that goes away may wait for it: the thread
    is woken before what it looks at is set (TensorFlow 2.20). They must come last in a dataset.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return options


@cache
def _untune_iterators_of_replicas() -> None:
    """The same for the datasets that a strategy makes itself, one a replica, of one buffer each.

    For logical CPUs only: whether a GPU takes the options has not been tried.
    """
    from tensorflow.python.data.ops import multi_device_iterator_ops as made

    create = made._create_device_dataset
    made._create_device_dataset = lambda *given: create(*given).with_options(_untuned())


def _cut(num_parts: int, *batch: Any) -> Any:
    """Every tensor `(B, ...)` -> `(R, B / R, ...)`."""
    import tensorflow as tf

    def cut(x: Any) -> Any:
        rows = None if x.shape[0] is None else x.shape[0] // num_parts
        shape = tf.concat([[num_parts, -1], tf.shape(x)[1:]], axis=0)
        return tf.ensure_shape(tf.reshape(x, shape), [num_parts, rows, *x.shape[1:]])

    return tf.nest.map_structure(cut, batch)


class ConfiguredHardware:
    """Fulfils `components.stage.Hardware` for the `hardware` section of a config."""

    def __init__(self, config: HardwareConfig) -> None:
        self.config = config

    @property
    def worker_index(self) -> int:
        """Of this process among those that train together; see `cluster.cluster`."""
        return cluster(os.environ).worker_index

    @property
    def num_workers(self) -> int:
        """Of those processes."""
        return cluster(os.environ).num_workers

    def dtype(self, name: str) -> AbstractContextManager[None]:
        """See `components.stage.Hardware`."""
        return dtype_policy(name)

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

    place = cluster(os.environ)
    evidence = tpu_evidence(os.environ, Path("/")) if config.tpu_address is None else "tpu_address"
    if place.num_workers > 1:
        if config.strategy == "tpu" or (config.strategy == "auto" and evidence):
            raise ValueError(
                f"{VARIABLE}: must not be set on a TPU, whose hosts one process leads; received "
                f"{place.num_workers} workers; unset it, or set hardware.strategy to cpu"
            )
        return _workers(config, place)
    if config.strategy == "tpu" or (config.strategy == "auto" and evidence):
        return _tpu(config, evidence)
    gpus = tf.config.list_physical_devices("GPU")
    if config.strategy == "mirrored" or (config.strategy == "auto" and gpus):
        return _gpus(config, gpus)
    return _cpus(config)


def _workers(config: HardwareConfig, place: Cluster) -> ConfiguredLane:
    """One process of several; TF_CONFIG names them all. Starting waits for the others."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if config.strategy == "cpu":
        tf.config.set_visible_devices([], "GPU")
        gpus = []
    if config.strategy == "mirrored" and not gpus:
        raise _no_gpu()
    if config.replicas is not None and (gpus or config.replicas > 1):
        raise ValueError(
            f"hardware.replicas: must be null under {VARIABLE}, where a worker has a replica on "
            f"each of its GPUs, or one on its CPU; received {config.replicas}; set it to null and "
            "start as many workers as you want"
        )
    distribution = tf.distribute.MultiWorkerMirroredStrategy()
    num_replicas = distribution.num_replicas_in_sync
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    capability = min((tuple(d.get("compute_capability", (0, 0))) for d in details), default=(0, 0))
    precision = resolve_precision(
        config.precision, strategy="mirrored" if gpus else "cpu", capability=capability
    )
    if not gpus:
        tf.config.experimental.enable_op_determinism()
    return ConfiguredLane(
        strategy_name="mirrored" if gpus else "cpu",
        num_replicas=num_replicas,
        precision=precision,
        description=(
            f"{num_replicas} x {'GPU' if gpus else 'CPU'} of {place.num_workers} workers (this is "
            f"worker {place.worker_index}), {precision}"
        ),
        distribution=distribution,
        num_workers=place.num_workers,
        num_hosts=place.num_workers,
        worker_index=place.worker_index,
    )


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
    num_replicas, num_hosts = distribution.num_replicas_in_sync, distribution.extended.num_hosts
    if config.replicas not in (None, num_replicas):
        raise ValueError(
            f"hardware.replicas: must be null or {num_replicas}, the cores of this TPU; "
            f"received {config.replicas}; set it to null"
        )
    return ConfiguredLane(
        strategy_name="tpu",
        num_replicas=num_replicas,
        precision=precision,
        description=(
            f"{num_replicas} x TPU core"
            f"{f' on {num_hosts} hosts' if num_hosts > 1 else ''}, {precision}"
        ),
        distribution=distribution,
        num_hosts=num_hosts,
        accelerator=_slice_name(num_replicas),
    )


def _slice_name(num_replicas: int) -> str:
    """Of the TPU of this machine; empty where its kind is not known."""
    found = find_tpu(os.environ, Path("/"))
    if found is None or found.chip is None:
        return ""
    cores = found.chip.cores if found.chip.name_counts_cores else 1
    return f"{found.chip.name}-{num_replicas // found.chip.replicas * cores}"


def _no_gpu() -> ValueError:
    return ValueError(
        "hardware.strategy: mirrored needs a GPU; received a machine on which TensorFlow sees "
        "none; use cpu with hardware.replicas to run several replicas on the CPU"
    )


def _gpus(config: HardwareConfig, gpus: list[Any]) -> ConfiguredLane:
    import tensorflow as tf

    if not gpus:
        raise _no_gpu()
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
