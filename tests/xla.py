"""Tests of what XLA compiles for CPUs skip under TensorFlow's build for TPUs."""

from __future__ import annotations

import pytest

from tpuline.components.compiling import TPU_BUILD, compiles_for_cpus

needs_xla_for_cpus = pytest.mark.skipif(
    not compiles_for_cpus(),
    reason=f"this build of TensorFlow has no XLA for CPUs: {TPU_BUILD} is installed",
)
