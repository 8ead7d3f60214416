"""Every model, task and lever gives the same losses on 1, 2, 4 and 8 replicas."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from tests.components.pretrained import keras_hub_folder
from tests.components.training import toy
from tests.components.training.test_replicas import FELT, _child
from tpuline.components.example_spec import SPECIAL_TOKENS

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]  # a process trains all kinds

TOKENS = [*SPECIAL_TOKENS, *"abcdefghijklmnopqrstuvwxyz0123456789"][: toy.VOCABULARY_SIZE]
REPLICAS = (2, pytest.param(4, marks=pytest.mark.slow), 8)
EXACT = {"dropout": 0.0, "epochs": 2, "global_batch_size": 16, "buckets": [16]} | FELT
NARROWER = {"buckets": [8, 16], "constant_tokens": True}  # batches of 32 rows, and of 16
UNEVEN = {"buckets": [6, 16], "constant_tokens": True}  # of 42 rows, which 4 and 8 do not divide
KINDS: dict[str, dict[str, Any]] = {
    "bag": {"model": "bag"} | NARROWER,
    "bag, uneven": {"model": "bag"} | UNEVEN,
    "bag, several labels": {"model": "bag", "several": True},
    "bag, pairs": {"model": "bag", "pairs": True},
    "gru": {"model": "gru"},
    "gru, several labels": {"model": "gru", "several": True},
    "gru, pairs": {"model": "gru", "pairs": True},
    "bert": {"model": "bert"} | NARROWER,
    "bert, mean, several labels": {"model": "mean", "several": True},
    "bert, uneven": {"model": "bert"} | UNEVEN,
    "bert, pairs": {"model": "bert", "pairs": True},
    "bert, accumulated": {"model": "bert", "accumulate_steps": 2},
    "bert, average of weights": {"model": "bert", "ema_decay": 0.8},
    "bert, preset": {"model": "tuned"},
    "bert, adapters and blocks computed again": {"model": "lora"},
    "bert, frozen": {"model": "frozen"},
}
LEARNT = ("loss", "accuracy", "val_loss", "val_accuracy", "micro_f1", "val_micro_f1")

Runs = Callable[[int], dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """What was trained by kind, for a number of replicas: one process for each number."""
    preset = keras_hub_folder(tmp_path_factory.mktemp("preset"), tokens=TOKENS)
    trainings = [EXACT | kind for kind in KINDS.values()]
    for training in trainings:
        if training["model"] in ("tuned", "lora", "frozen"):
            training["preset"] = preset

    @cache
    def of(replicas: int) -> dict[str, dict[str, Any]]:
        told = _child({"replicas": replicas, "trainings": trainings}, timeout_s=1200)
        return dict(zip(KINDS, told["trained"], strict=True))

    return of


@pytest.mark.parametrize("replicas", REPLICAS)
@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_metrics_are_those_of_one_replica(runs: Runs, kind: str, replicas: int) -> None:
    one, more = runs(1)[kind], runs(replicas)[kind]
    assert (one["num_replicas"], more["num_replicas"]) == (1, replicas)
    assert (one["num_steps"], one["best_step"]) == (more["num_steps"], more["best_step"])
    assert learnt(more) == pytest.approx(learnt(one), abs=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_something_was_learnt_that_could_differ(runs: Runs, kind: str) -> None:
    first, last = runs(1)[kind]["history"]
    assert first["loss"] != pytest.approx(last["loss"], abs=1e-4)


def learnt(trained: dict[str, Any]) -> list[float]:
    told = [epoch[name] for epoch in trained["history"] for name in LEARNT]
    return [value for value in told if value is not None]
