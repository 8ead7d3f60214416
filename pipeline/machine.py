"""What made a result: library versions and the machine, without importing the libraries."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from ..components.processor import processor as processor

LIBRARIES = (
    "tpuline",
    "tensorflow",
    "tensorflow-text",
    "keras",
    "keras-hub",
    "apache-beam",
    "tensorflow-datasets",
    "scikit-learn",
    "numpy",
    "pyarrow",
)
_OTHER_BUILDS = ("tensorflow-tpu", "tensorflow-cpu")


def versions() -> dict[str, str]:
    """Installed versions by distribution, Python first."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        found[name] = _version(name) or "not installed"
    for build in _OTHER_BUILDS:
        if found["tensorflow"] == "not installed" and _version(build) is not None:
            found["tensorflow"] = f"{_version(build)} ({build})"
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def speed_facts() -> dict[str, str]:
    """What a measured latency holds for: on another machine it must be measured again."""
    return {
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "tensorflow": versions()["tensorflow"],
    }


def describe() -> dict[str, str]:
    """Processor, cores, memory and system."""
    import psutil

    return {
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
