"""Variants that are trained learn the same on two logical replicas as on one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

CHECKOUT = Path(__file__).resolve().parents[3]

Losses = dict[str, list[float]]


@pytest.fixture(scope="module")
def runs() -> dict[int, Losses]:
    """By number of replicas, what a child printed."""
    children = {replicas: _child(replicas) for replicas in (1, 2)}
    done = {}
    try:
        for replicas, child in children.items():
            out, err = child.communicate(timeout=280)
            assert child.returncode == 0, err
            done[replicas] = json.loads(out.splitlines()[-1])
    finally:
        for child in children.values():
            child.kill()
            child.wait()
    return done


def _child(replicas: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.components.optimize.child", str(replicas)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("variant", ["distill", "prune", "shrink"])
def test_losses_do_not_depend_on_the_number_of_replicas(
    variant: str, runs: dict[int, Losses]
) -> None:
    assert runs[2]["model"] == pytest.approx(runs[1]["model"], abs=2e-5)
    assert runs[2][variant] == pytest.approx(runs[1][variant], abs=1e-4)
    assert runs[1][variant] != runs[1]["model"]
