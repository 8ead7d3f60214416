"""What `doctor` says of packages that others need, as `--no-deps` leaves them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.hardware import fake_machines as machines
from tests.pipeline.hardware.fake_machines import CPU_LANE, TPU_LANE
from tests.pipeline.hardware.test_doctor import diagnose, only


def test_checkout_mends_by_its_lock(tmp_path: Path) -> None:
    machine = machines.colab(tmp_path, "v5e-1")
    machine.install({"jax": "0.8.0", "tensorflow-cpu": "2.20.0", "tensorflow-text": "2.20.1"})
    machine.install({"pip": "26.0"})
    finding = only(diagnose(machine, lock_file=Path("/content/tpuline/tpu.lock")))
    assert finding.name == "tpu-build-missing"
    assert finding.mend == (
        "!/usr/bin/python3 -m pip uninstall --yes tensorflow-cpu && "
        "/usr/bin/python3 -m pip install --no-deps --requirement /content/tpuline/tpu.lock"
    )


@pytest.mark.parametrize(
    ("lane", "lock_file", "mend"),
    [
        (CPU_LANE, None, "pip install astunparse gast"),
        (TPU_LANE, None, "pip install --no-deps astunparse gast"),  # and no TensorFlow for CPUs
        (TPU_LANE, Path("/my.lock"), "pip install --no-deps --requirement /my.lock"),
    ],
)
def test_package_that_another_one_needs_and_is_not_there_is_an_error(
    tmp_path: Path, lane: dict[str, str], lock_file: Path | None, mend: str
) -> None:
    machine = machines.laptop(tmp_path)
    build = next(name for name in lane if name in ("tensorflow", "tensorflow-tpu"))
    machine.install({name: v for name, v in lane.items() if name != build})
    machine.install(
        {build: "2.20.0"},
        needs=["astunparse (>=1.6)", "gast!=0.5.0", "Keras>=3", "x; extra == 'y'"],
    )
    finding = only(diagnose(machine, lock_file=lock_file))
    assert (finding.name, finding.severity) == ("dependency-missing", "error")
    assert f"astunparse, which {build} needs, and 1 more are not installed" in finding.seen
    assert finding.mend == f"/usr/bin/python3 -m {mend}"
    machine.install({"astunparse": "1.6.3", "gast": "0.7.0"})
    assert not diagnose(machine).findings
