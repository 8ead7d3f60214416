"""Trainings in several processes: bit-identical for a seed, alike for 1, 2, 4 and 8 replicas."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.components.training.child import after_overflow, first_moments, train
from tpuline.pipeline.hardware.config import HardwareConfig
from tpuline.pipeline.hardware.strategy import ConfiguredHardware

CHECKOUT = Path(__file__).resolve().parents[3]
NOISY = {"dropout": 0.1, "epochs": 2, "global_batch_size": 8, "buckets": [6, 10]}
# A norm that binds on some steps only: Adam hardly sees gradients that are all N times too large.
FELT = {"learning_rate": 0.01, "clip_norm": 0.05}
SHORT = {"dropout": 0.0, "epochs": 1, "global_batch_size": 8, "buckets": [10]} | FELT
# All rows in one batch: hosts that read their share then see the same batches as one.
WHOLE = SHORT | {"epochs": 3, "global_batch_size": 120, "buckets": [], "learning_rate": 0.05}
EXACT = NOISY | {"dropout": 0.0} | FELT

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]  # the fixture waits for six processes

FOUR = pytest.param(4, marks=pytest.mark.slow)

Runs = dict[str, dict[str, Any]]


class Made(Runs):
    """Runs that were made, and those that a child makes when they are asked for."""

    def __init__(self, done: Runs, later: Runs) -> None:
        super().__init__(done)
        self._later = later

    def __missing__(self, name: str) -> dict[str, Any]:
        self[name] = _child(self._later[name])
        return self[name]


@pytest.fixture(
    scope="module",
    params=[
        "bag",
        pytest.param("gru", marks=pytest.mark.slow),
        pytest.param("bert", marks=pytest.mark.slow),
    ],
)
def runs(request: pytest.FixtureRequest) -> Runs:
    """What children printed, and the same from this process, which did who knows what."""
    noisy, exact, short, whole = (
        kind | {"model": request.param} for kind in (NOISY, EXACT, SHORT, WHOLE)
    )
    wanted = {
        "1 later": {"replicas": 1, "trainings": [exact, noisy, short, whole]},
        "2 first": {"replicas": 2, "trainings": [noisy]},
        "2 hosts": {"replicas": 2, "a_host_each": True, "trainings": [whole]},
        "2 later": {"replicas": 2, "logical_cpus": 3, "trainings": [exact, noisy]},
        "8 first": {"replicas": 8, "trainings": [short]},
    }
    pool = ThreadPoolExecutor(max_workers=2)
    children = {name: pool.submit(_child, value) for name, value in wanted.items()}
    hardware = ConfiguredHardware(HardwareConfig(strategy="cpu", precision="float32"))
    done = {
        "1 first": {
            "trained": [train(hardware, dict(noisy))],
            "first_moments": first_moments(hardware.start()),
            "after_overflow": list(after_overflow(hardware.start())),
        }
    }
    with pool:
        done |= {name: child.result() for name, child in children.items()}
    return Made(done, {"4 first": {"replicas": 4, "trainings": [short]}})


def _child(wanted: dict[str, Any], timeout_s: float = 400) -> dict[str, Any]:
    child = subprocess.run(
        [sys.executable, "-m", "tests.components.training.child", json.dumps(wanted)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert child.returncode == 0, child.stderr
    facts: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return facts


@pytest.mark.parametrize("replicas", [1, 2])
def test_same_seed_gives_the_same_weights_file_whatever_ran_before(
    runs: Runs, replicas: int
) -> None:
    first = runs[f"{replicas} first"]["trained"][0]
    later = runs[f"{replicas} later"]["trained"][1]
    assert first["weights_sha256"] == later["weights_sha256"]
    assert _losses(first) == _losses(later)


@pytest.mark.parametrize(
    ("replicas", "which"),
    [
        ("2 later", 0),
        pytest.param("4 first", 2, marks=pytest.mark.slow),
        ("8 first", 2),
        ("2 hosts", 3),
    ],
)
def test_losses_and_metrics_do_not_depend_on_the_number_of_replicas(
    runs: Runs, replicas: str, which: int
) -> None:
    one, more = runs["1 later"]["trained"][which], runs[replicas]["trained"][0]
    # A child had three logical CPUs and used the first two.
    assert (one["num_replicas"], more["num_replicas"]) == (1, int(replicas[0]))
    assert _losses(one) == pytest.approx(_losses(more), abs=2e-5)
    assert (one["num_steps"], one["best_step"]) == (more["num_steps"], more["best_step"])


@pytest.mark.parametrize("replicas", [1, 2])
def test_gradient_is_summed_over_replicas_and_then_clipped(runs: Runs, replicas: int) -> None:
    # (1 - beta_1) times the clipped gradient; clipped per replica it would be `replicas` as much.
    clipped, whole = runs[f"{replicas} first"]["first_moments"]
    assert (clipped, whole) == pytest.approx((0.1, 1.0 * replicas))


@pytest.mark.parametrize("replicas", [1, 2, FOUR])
def test_overflow_on_any_replica_leaves_the_step_out_on_all(runs: Runs, replicas: int) -> None:
    assert runs[f"{replicas} first"]["after_overflow"] == [1.0, 4.0]


def _losses(trained: dict[str, Any]) -> list[float]:
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    return [epoch[name] for epoch in trained["history"] for name in names]
