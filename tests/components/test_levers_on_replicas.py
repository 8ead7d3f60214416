"""Remat, adapters and frozen backbones do the same on two logical replicas as on one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.components.pretrained import hugging_face_folder

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parents[2]
LEVERS: dict[str, dict[str, Any]] = {
    "remat and lora": {"remat": True, "lora_rank": 2},
    "frozen": {"freeze_backbone": True},
}

Runs = dict[int, dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """By number of replicas, what a child printed."""
    preset = hugging_face_folder(tmp_path_factory.mktemp("preset"))
    exact = {name: {"preset": preset, "dropout": 0.0} | lever for name, lever in LEVERS.items()}
    noisy = {"preset": preset, "dropout": 0.3}
    two = exact | {"plain, noisy": noisy, "remat, noisy": noisy | {"remat": True}}
    children = {1: _child(1, exact), 2: _child(2, two)}
    done: Runs = {}
    for replicas, child in children.items():
        out, err = child.communicate(timeout=280)
        assert child.returncode == 0, err
        done[replicas] = json.loads(out.splitlines()[-1])
    return done


def _child(replicas: int, models: dict[str, Any]) -> subprocess.Popen[str]:
    wanted = json.dumps({"replicas": replicas, "models": models})
    return subprocess.Popen(
        [sys.executable, "-m", "tests.components.lever_child", wanted],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("lever", LEVERS)
def test_losses_do_not_depend_on_the_number_of_replicas(lever: str, runs: Runs) -> None:
    one, two = (runs[replicas][lever]["losses"] for replicas in (1, 2))
    assert two == pytest.approx(one, rel=1e-4)
    assert len(set(one)) == 2


def test_blocks_computed_again_learn_the_same_under_dropout(runs: Runs) -> None:
    plain, remat = (runs[2][name]["losses"] for name in ("plain, noisy", "remat, noisy"))
    assert remat == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("lever", LEVERS)
def test_saved_weights_serve_as_trained(lever: str, replicas: int, runs: Runs) -> None:
    assert runs[replicas][lever]["served_difference"] < 1e-5
