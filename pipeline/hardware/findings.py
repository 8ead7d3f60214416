"""Facts of a machine -> what is wrong with it, each with the one command that mends it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from .devices import LOCK_FILE, Holder, Tpu
from .packages import (
    CPU_BUILDS,
    NEWEST_LIBTPU,
    OLDEST_LIBTPU,
    TENSORFLOW_MINOR,
    TPU_LANE,
    Packages,
    numbers,
)
from .remedies import Remedies

LIBTPU_VARIABLE = "TPU_LIBRARY_PATH"
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong. `name` stays the same from version to version, for programs."""

    name: str
    severity: Literal["error", "warning"]
    seen: str
    mend: str  # a command, or the menu that does it


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What this machine is and what is installed on it. Sizes in bytes, None where unknown."""

    remedies: Remedies
    python: tuple[int, int, int]
    tpu: Tpu | None
    hidden_tpu: str | None  # the PCI slot of a TPU without device files
    closed_files: tuple[str, ...]  # device files that this user may not open
    lock_is_closed: bool  # the lock file of libtpu is there, and another user's
    holders: tuple[Holder, ...]
    gpus: tuple[str, ...]
    processor: str
    num_cores: int
    memory_bytes: int | None
    free_bytes: int  # where artifacts go: on the disk of the working folder
    packages: Packages
    lock_file: str | None  # of the lane for TPUs, where this is a checkout
    keras_backend: str | None  # chosen by a variable or a file; None leaves TensorFlow
    legacy_keras: bool
    libtpu_named: str | None = None  # the library that a variable names in the package's place


def of_machine(facts: Facts, *, uses_tpu: bool) -> Iterator[Finding]:
    """Everything that no config is needed to see. `uses_tpu`: a TPU, where there is one."""
    yield from _python(facts)
    if facts.tpu is not None and uses_tpu:
        yield from _tpu(facts, facts.tpu)
    elif facts.tpu is None and facts.hidden_tpu is not None:
        yield Finding(
            name="tpu-hidden",
            severity="warning",
            seen=f"a TPU in PCI slot {facts.hidden_tpu}, but neither /dev/accel* nor /dev/vfio/*: "
            "this container was started without them",
            mend="docker run --privileged --net=host IMAGE",
        )
    yield from _tensorflow(facts, needs_tpu_build=facts.tpu is not None and uses_tpu)
    yield from _text(facts)
    yield from _dependencies(facts)
    yield from _keras(facts)


def tpu_lane(facts: Facts) -> str:
    """The command that puts the build for TPUs in the place of whatever is installed."""
    versions = facts.packages.versions
    old = [name for name in CPU_BUILDS if name in versions]
    if facts.lock_file is not None:
        return facts.remedies.install_lock(facts.lock_file, old=old)
    return facts.remedies.replace(old, *(f"{name}=={v}" for name, v in TPU_LANE.items()))


def _python(facts: Facts) -> Iterator[Finding]:
    if not OLDEST_PYTHON <= facts.python[:2] <= NEWEST_PYTHON:
        yield Finding(
            name="python-version",
            severity="error",
            seen=f"Python {_dotted(facts.python)}; TensorFlow {_dotted(TENSORFLOW_MINOR)} needs "
            f"{_dotted(OLDEST_PYTHON)} to {_dotted(NEWEST_PYTHON)}",
            mend=facts.remedies.shell("uv venv --seed --python 3.12 .venv"),
        )


def _tpu(facts: Facts, tpu: Tpu) -> Iterator[Finding]:
    if tpu.chip is not None and not tpu.chip.runs_tensorflow:
        yield Finding(
            name="tpu-generation",
            severity="error",
            seen=f"TPU {tpu.chip.name}, on which TensorFlow is not supported",
            mend=facts.remedies.shell("tpuline run CONFIG --set hardware.strategy=cpu"),
        )
    if facts.closed_files:
        yield Finding(
            name="tpu-permission",
            severity="error",
            seen=f"no permission to open {', '.join(facts.closed_files)}",
            mend=facts.remedies.shell(f"sudo chmod a+rw {' '.join(facts.closed_files)}"),
        )
    yield from _taken(facts)


def _taken(facts: Facts) -> Iterator[Finding]:
    """Only one process can have a TPU."""
    for holder in facts.holders:
        yield Finding(
            name="tpu-held",
            severity="error",
            seen=f"the TPU is held by process {holder.pid}, {_short(holder.command)}"
            + (", by JAX" if holder.uses_jax else ""),
            mend=facts.remedies.shell(f"kill {holder.pid}"),
        )
    if facts.lock_is_closed and not facts.holders:
        yield Finding(
            name="tpu-lock",
            severity="error",
            seen=f"/{LOCK_FILE} belongs to another user: the TPU counts as taken",
            mend=facts.remedies.shell(f"sudo rm /{LOCK_FILE}"),
        )


def _tensorflow(facts: Facts, *, needs_tpu_build: bool) -> Iterator[Finding]:
    packages = facts.packages
    if "tensorflow-tpu" in packages.versions:
        yield from _tpu_build(facts)
    elif needs_tpu_build:
        have = packages.tensorflow
        yield Finding(
            name="tpu-build-missing",
            severity="error",
            seen="a TPU, but "
            + (f"TensorFlow {have} for CPUs and GPUs" if have else "no TensorFlow"),
            mend=tpu_lane(facts),
        )
    elif packages.tensorflow is None:
        yield Finding(
            name="tensorflow-missing",
            severity="error",
            seen="no TensorFlow",
            mend=_cpu_lane(facts),
        )
    elif numbers(packages.tensorflow)[:2] != TENSORFLOW_MINOR:
        yield Finding(
            name="tensorflow-version",
            severity="error",
            seen=f"TensorFlow {packages.tensorflow}; {_dotted(TENSORFLOW_MINOR)} is needed",
            mend=_cpu_lane(facts),
        )


def _cpu_lane(facts: Facts) -> str:
    minor = _dotted(TENSORFLOW_MINOR)
    return facts.remedies.install_with_needs(
        f"tensorflow=={minor}.*", f"tensorflow-text=={minor}.*"
    )


def _tpu_build(facts: Facts) -> Iterator[Finding]:
    """tensorflow-tpu is installed: of which version, is it whole, does its libtpu load?"""
    versions = facts.packages.versions
    if numbers(versions["tensorflow-tpu"])[:2] != TENSORFLOW_MINOR:
        yield Finding(
            name="tensorflow-version",
            severity="error",
            seen=f"tensorflow-tpu {versions['tensorflow-tpu']}; {_dotted(TENSORFLOW_MINOR)} is "
            "needed",
            mend=tpu_lane(facts),
        )
        return
    yield from _whole(facts)
    libtpu = versions.get("libtpu")
    if libtpu is None or not OLDEST_LIBTPU <= numbers(libtpu)[:3] <= NEWEST_LIBTPU:
        yield Finding(
            name="libtpu-version" if libtpu else "libtpu-missing",
            severity="error",
            seen=f"{f'libtpu {libtpu}' if libtpu else 'no libtpu'}; with tensorflow-tpu "
            f"{versions['tensorflow-tpu']} only {_dotted(OLDEST_LIBTPU)} to "
            f"{_dotted(NEWEST_LIBTPU)} load"
            + (": Python aborts at `import tensorflow`" if libtpu else ""),
            mend=facts.remedies.install(f"libtpu=={TPU_LANE['libtpu']}"),
        )
    if facts.libtpu_named is not None:
        yield Finding(
            name="libtpu-overridden",
            severity="error",
            seen=f"{LIBTPU_VARIABLE} has TensorFlow load {facts.libtpu_named}, and not the package "
            "libtpu: where that is of another range, Python aborts at `import tensorflow`",
            mend=facts.remedies.unset_variable(LIBTPU_VARIABLE),
        )


def _whole(facts: Facts) -> Iterator[Finding]:
    """Whether the files of tensorflow-tpu are its own: other builds write to the same folder."""
    packages = facts.packages
    others = [name for name in CPU_BUILDS if name in packages.versions]
    named = " and ".join(f"{name} {packages.versions[name]}" for name in others)
    mend = facts.remedies.replace(others, f"tensorflow-tpu=={TPU_LANE['tensorflow-tpu']}")
    if packages.foreign:
        count = len(packages.foreign)
        yield Finding(
            name="tpu-build-shadowed" if others else "tpu-build-damaged",
            severity="error",
            seen=(f"{named} lies over tensorflow-tpu" if others else "tensorflow-tpu is damaged")
            + f": {count} of its libraries {'are' if count > 1 else 'is'} gone or replaced, "
            f"{packages.foreign[0]} among them",
            mend=mend,
        )
    elif others:
        yield Finding(
            name="tpu-build-endangered",
            severity="warning",
            seen=f"{named} stands beside tensorflow-tpu, which is whole so far; whichever is "
            "installed or removed next takes the files of both",
            mend=mend,
        )


def _text(facts: Facts) -> Iterator[Finding]:
    tensorflow = facts.packages.tensorflow
    if tensorflow is None or numbers(tensorflow)[:2] != TENSORFLOW_MINOR:
        return  # what mends that brings both
    text = facts.packages.versions.get("tensorflow-text")
    if text is None or numbers(text)[:2] != TENSORFLOW_MINOR:
        yield Finding(
            name="text-version" if text else "text-missing",
            severity="error",
            seen=f"{f'tensorflow-text {text}' if text else 'no tensorflow-text'} for TensorFlow "
            f"{tensorflow}: the two must be of one minor version",
            mend=facts.remedies.install(f"tensorflow-text=={TPU_LANE['tensorflow-text']}"),
        )


def _dependencies(facts: Facts) -> Iterator[Finding]:
    """Packages that are not there: some of them TensorFlow imports at once."""
    missing = facts.packages.missing
    if missing:
        (name, needed_by), num_more = missing[0], len(missing) - 1
        more = f", and {num_more} more are" if num_more else " is"
        yield Finding(
            name="dependency-missing",
            severity="error",
            seen=f"{name}, which {needed_by} needs{more} not installed",
            mend=_all_of(facts, [name for name, _ in missing]),
        )


def _all_of(facts: Facts, missing: Sequence[str]) -> str:
    """The command that brings these, and under the build for TPUs no other build with them."""
    if "tensorflow-tpu" not in facts.packages.versions:
        return facts.remedies.install_with_needs(*missing)
    if facts.lock_file is not None:
        return facts.remedies.install_lock(facts.lock_file)
    return facts.remedies.install(*missing)


def _keras(facts: Facts) -> Iterator[Finding]:
    if facts.legacy_keras:
        yield Finding(
            name="legacy-keras",
            severity="error",
            seen="TF_USE_LEGACY_KERAS is set: tf.keras is then Keras 2, whose models are others",
            mend=facts.remedies.unset_variable("TF_USE_LEGACY_KERAS"),
        )
    if facts.keras_backend not in (None, "tensorflow"):
        yield Finding(
            name="keras-backend",
            severity="error",
            seen=f"Keras computes with {facts.keras_backend} here; tpuline needs tensorflow",
            mend=facts.remedies.set_variable("KERAS_BACKEND", "tensorflow"),
        )


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _short(command: str) -> str:
    return f"`{command if len(command) <= 60 else command[:57] + '...'}`"
