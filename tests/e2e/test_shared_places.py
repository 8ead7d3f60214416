"""Two runs in one place, or too little of it: work is shared, and goes on when there is room."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tpuline.pipeline import store

from .conftest import Shrunk

pytestmark = pytest.mark.long


def test_two_runs_at_once_share_the_work(shrunk: Shrunk) -> None:
    first, second = (shrunk.start(until="export") for _ in range(2))
    outputs = [process.communicate(timeout=250)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    for stage in ("preprocess", "train", "export"):
        assert len(list((shrunk.root / stage).glob(f"*/{store.MANIFEST}"))) == 1
    assert any("waiting for it" in output for output in outputs)


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 600 kB."""
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(mount)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a small tmpfs (root)")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_full_disk_fails_the_stage_and_a_larger_one_goes_on(
    small_disk: Path, checkout: Path
) -> None:
    demo = Shrunk(config_file=checkout / "configs" / "demo.yaml", root=small_disk / "runs")
    done = demo.run()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "No space left" in done.stderr
    assert "failed" in done.stderr
    done_stages = list(demo.root.glob(f"*/*/{store.MANIFEST}"))
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    again = demo.run(until="train")
    assert again.returncode == 0, again.stdout + again.stderr
    assert all(path.exists() for path in done_stages)
