"""The lock for TPUs: the pins of the ordinary one, with the build that computes on TPUs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tpuline.pipeline.hardware.packages import (
    CPU_BUILDS,
    NEWEST_LIBTPU,
    OLDEST_LIBTPU,
    TPU_LANE,
    numbers,
)

NOTEBOOK_KERNEL = {"ipykernel", "ipython", "jupyter-client", "jupyter-core", "tornado", "pyzmq"}


def pins(path: Path) -> set[tuple[str, str]]:
    """(name, version) of each line; several where it depends on the version of Python."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [re.match(r"([a-z0-9-]+)==([^ ]+)( ; .+)?$", line) for line in lines if line[0] != "#"]
    assert all(found), "every line must pin one version"
    return {(match.group(1), match.group(2)) for match in found if match}


@pytest.fixture(scope="module")
def tpu(checkout: Path) -> set[tuple[str, str]]:
    return pins(checkout / "requirements-tpu.lock")


def test_lock_has_the_build_for_tpus_and_no_other(tpu: set[tuple[str, str]]) -> None:
    assert set(TPU_LANE.items()) <= tpu
    assert not {name for name, _ in tpu} & {*CPU_BUILDS, "jax", "jaxlib"}
    assert OLDEST_LIBTPU <= numbers(TPU_LANE["libtpu"]) <= NEWEST_LIBTPU


def test_all_else_is_as_in_the_ordinary_lock(tpu: set[tuple[str, str]], checkout: Path) -> None:
    others = {(name, version) for name, version in tpu if name not in ("tensorflow-tpu", "libtpu")}
    assert others <= pins(checkout / "requirements.lock")


def test_everything_that_the_package_asks_for_is_there(
    tpu: set[tuple[str, str]], checkout: Path
) -> None:
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {re.split(r"[\[<>=]", line)[0] for line in project["dependencies"]}
    assert asked - {name for name, _ in tpu} == {"tensorflow"}
    assert "google-cloud-storage" in {name for name, _ in tpu}  # the extra gcp


def test_cell_that_installs_it_leaves_the_notebook_kernel_alone(
    tpu: set[tuple[str, str]],
) -> None:
    assert not {name for name, _ in tpu} & NOTEBOOK_KERNEL
