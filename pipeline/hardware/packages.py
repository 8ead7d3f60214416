"""Which TensorFlow is installed, read from the metadata of its packages without importing it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from typing import Literal

# What fits together. TensorFlow has had no build for TPUs since 2.20 (of 2.21.0 the package index
# has none, 2026-11); that one aborts at import with a libtpu outside the range. How it was found,
# in an environment with tensorflow-tpu 2.20.0, on 2026-11-23: `pip install --no-deps libtpu==X &&
# python -c "import tensorflow"` with each X. 0.0.14 to 0.0.31 load; from 0.0.32.1 to 0.0.38
# "TpuExecutable_FreeMaybeOwningDeviceMemoryArray not available in this library", and later ones
# "ConfigureDistributedTpuOp_DoWork not available in this library".
TPU_LANE = {"tensorflow-tpu": "2.20.0", "libtpu": "0.0.31", "tensorflow-text": "2.20.1"}
OLDEST_LIBTPU, NEWEST_LIBTPU = (0, 0, 14), (0, 0, 31)
TENSORFLOW_MINOR = (2, 20)

CPU_BUILDS = ("tensorflow", "tensorflow-cpu")
_BUILDS = ("tensorflow-tpu", *CPU_BUILDS)  # each fills the same folder
_NAMES = (
    "tpuline",
    *_BUILDS,
    "libtpu",
    "tensorflow-text",
    "keras",
    "keras-hub",
    "jax",
    "pip",
    # what shows that an extra is there, see `needs.EXTRAS`
    "google-cloud-storage",
    "mlflow-skinny",
    "tf2onnx",
    "ai-edge-litert",
    "openvino",
    "mlcommons-loadgen",
)


@dataclass(frozen=True, kw_only=True)
class Packages:
    """What is installed of all that matters here."""

    versions: dict[str, str]  # by distribution; nothing for what is not installed
    foreign: tuple[str, ...]  # libraries of tensorflow-tpu that are not as it brought them
    missing: tuple[tuple[str, str], ...] = ()  # a package that another one needs, and that one
    libtpu_file: str | None = None  # the library of the package libtpu

    @property
    def lane(self) -> Literal["tpu", "cpu", "cpu and gpu", "none"]:
        """What the TensorFlow that Python imports can compute on."""
        if "tensorflow-tpu" in self.versions and not self.foreign:
            return "tpu"
        if "tensorflow" in self.versions:
            return "cpu and gpu"
        return "cpu" if "tensorflow-cpu" in self.versions else "none"

    @property
    def tensorflow(self) -> str | None:
        """The version of TensorFlow, whichever build."""
        return next((self.versions[name] for name in _BUILDS if name in self.versions), None)


def installed(path: Sequence[str]) -> Packages:
    """Looks through the folders of `path`, the first one first, as an import does."""
    found = {name: _find(name, path) for name in _NAMES}
    for name in CPU_BUILDS:  # a package of that name may be empty, there for what asks for it
        build = found[name]
        if build is not None and next(_libraries(build), None) is None:
            found[name] = None
    tpu_build, libtpu = found["tensorflow-tpu"], found["libtpu"]
    return Packages(
        versions={name: package.version for name, package in found.items() if package is not None},
        foreign=_foreign(tpu_build) if tpu_build is not None else (),
        missing=tuple(_missing(found.values(), path)),
        libtpu_file=None if libtpu is None else str(libtpu.locate_file("libtpu/libtpu.so")),
    )


def _missing(
    packages: Iterable[Distribution | None], path: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """What each of these always needs and nobody has installed, as `--no-deps` leaves it.

    Builds of TensorFlow stand in for each other, and have findings of their own, as TF Text has.
    """
    told = {*_BUILDS, "libtpu", "tensorflow-text"}
    for package in packages:
        for line in (package.requires if package is not None else None) or ():
            name = re.match(r"[\w.-]+", line)
            if ";" in line or name is None or _canonical(name.group()) in told:
                continue
            told.add(_canonical(name.group()))
            if _find(name.group(), path) is None:
                assert package is not None
                yield _canonical(name.group()), package.name


def _canonical(name: str) -> str:
    """As the package index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers: (0, 0, 32, 1) of 0.0.32.1, (2, 21, 0) of 2.21.0-rc1."""
    leading = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in leading.group().split(".")) if leading else ()


def _find(name: str, path: Sequence[str]) -> Distribution | None:
    return next(iter(Distribution.discover(name=name, path=list(path))), None)


def _foreign(package: Distribution) -> tuple[str, ...]:
    """Libraries of `package` that are gone, or of another size than when it was installed.

    The builds for CPUs and for TPUs write to the same files, and the last to come wins: what pip
    noted down tells whose they are. Of 2.20.0, eight of 81 libraries differ in size.
    """
    found = (
        (name, Path(str(package.locate_file(name))), size) for name, size in _libraries(package)
    )
    return tuple(
        name for name, file, size in found if not file.is_file() or file.stat().st_size != size
    )


def _libraries(package: Distribution) -> Iterator[tuple[str, int]]:
    """The shared libraries of a package, with the sizes that they had in its wheel."""
    for line in (package.read_text("RECORD") or "").splitlines():
        name, _, rest = line.partition(",")
        size = rest.rpartition(",")[2]
        if ".so" in name.rpartition("/")[2] and size.isdecimal():
            yield name, int(size)
