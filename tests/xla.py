"""Whether this TensorFlow compiles for CPUs: its build for TPUs compiles for nothing else."""

from __future__ import annotations

from importlib import metadata

import pytest


def has_xla_for_cpus() -> bool:
    try:
        metadata.distribution("tensorflow-tpu")
    except metadata.PackageNotFoundError:
        return True
    return False


needs_xla_for_cpus = pytest.mark.skipif(
    not has_xla_for_cpus(),
    reason="this build of TensorFlow has no XLA for CPUs: tensorflow-tpu is installed",
)
