"""TF_CONFIG: which process of several this is. Pure; TensorFlow reads the same variable later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

VARIABLE = "TF_CONFIG"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The place of this process among those that train together. Worker 0 is the chief."""

    num_workers: int = 1
    worker_index: int = 0


def cluster(environ: Mapping[str, str]) -> Cluster:
    """What TF_CONFIG says; a process on its own without it.

    Raises:
        ValueError: it is no JSON, or names other tasks than workers and a chief.
    """
    text = environ.get(VARIABLE, "").strip()
    if not text:
        return Cluster()
    try:
        told = json.loads(text)
        tasks, task = told.get("cluster") or {}, told.get("task") or {}
        addresses = [*tasks.get("chief", ()), *tasks.get("worker", ())]
        kind, index = task.get("type", "worker"), int(task.get("index", 0))
    except (ValueError, TypeError, AttributeError) as error:
        raise _wrong(f"{text[:200]!r} ({error})") from error
    if len(addresses) <= 1:
        return Cluster()
    if kind not in ("chief", "worker") or not 0 <= index < len(tasks.get(kind, ())):
        raise _wrong(f"task {kind} {index} and a cluster of {sorted(tasks)}")
    if kind == "worker":
        index += len(tasks.get("chief", ()))
    return Cluster(num_workers=len(addresses), worker_index=index)


def _wrong(received: str) -> ValueError:
    return ValueError(
        f"{VARIABLE}: must be JSON with cluster.worker, a list of host:port, and task.type worker "
        f"and task.index; received {received}; unset it to train in one process"
    )
