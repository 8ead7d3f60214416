"""TF_CONFIG -> which process this is."""

from __future__ import annotations

import json

import pytest

from tpuline.pipeline.hardware.cluster import Cluster, cluster


def place(kind: str, index: int, **tasks: list[str]) -> Cluster:
    told = {"cluster": tasks, "task": {"type": kind, "index": index}}
    return cluster({"TF_CONFIG": json.dumps(told)})


def test_no_variable_or_one_worker_is_a_process_on_its_own() -> None:
    assert cluster({}) == cluster({"TF_CONFIG": " "}) == Cluster()
    assert place("worker", 0, worker=["a:1"]) == Cluster()


def test_first_worker_is_the_chief_where_none_is_named() -> None:
    assert place("worker", 0, worker=["a:1", "b:1"]) == Cluster(num_workers=2, worker_index=0)
    assert place("worker", 1, worker=["a:1", "b:1"]) == Cluster(num_workers=2, worker_index=1)


def test_named_chief_comes_before_the_workers() -> None:
    assert place("chief", 0, chief=["a:1"], worker=["b:1"]).worker_index == 0
    assert place("worker", 0, chief=["a:1"], worker=["b:1"]).worker_index == 1


@pytest.mark.parametrize("kind", ["ps", "evaluator"])
def test_other_tasks_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=f"TF_CONFIG: .* received task {kind} 0"):
        place(kind, 0, worker=["a:1", "b:1"], **{kind: ["c:1"]})


@pytest.mark.parametrize("text", ["{", "[]", '{"cluster": 3}', '{"task": {"index": "x"}}'])
def test_what_is_no_description_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="TF_CONFIG: must be JSON"):
        cluster({"TF_CONFIG": text})
