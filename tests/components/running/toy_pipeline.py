"""A small pipeline with the steps that the real one has, for tests of what runs it.

Workers import it from the checkout: put that on PYTHONPATH.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam

VARIABLES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "CUDA_VISIBLE_DEVICES")


@dataclass(frozen=True, kw_only=True)
class Worked:
    """What one element saw."""

    number: int
    pid: int
    environment: dict[str, str | None]


class Work(beam.DoFn):
    """number -> Worked; fails in the way it is asked to."""

    def __init__(self, folder: str, trouble: str | None = None) -> None:
        self._folder, self._trouble = folder, trouble

    def setup(self) -> None:
        print("a library's chatter")

    def process(self, number: int, total: int) -> Iterator[Worked]:
        Path(self._folder, f"worker-{os.getpid()}").touch()
        if number == total - 1:
            self._get_into_trouble()
        yield Worked(
            number=number,
            pid=os.getpid(),
            environment={name: os.getenv(name) for name in VARIABLES},
        )

    def _get_into_trouble(self) -> None:
        if self._trouble == "exception":
            raise ArithmeticError("the toy's own complaint")
        if self._trouble == "sigkill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._trouble == "exit":
            print("last words", flush=True)
            os._exit(7)
        if self._trouble == "sleep":
            time.sleep(600)


def builder(folder: Path, *, trouble: str | None = None, count: int = 6) -> Callable[[Any], None]:
    """Adds steps that leave result.json in `folder`."""

    def build(pipeline: beam.Pipeline) -> None:
        numbers = pipeline | "Numbers" >> beam.Create(list(range(count)))
        total = numbers | "Count" >> beam.combiners.Count.Globally()
        _ = (
            numbers
            | "Spread" >> beam.Reshuffle()
            | "Work" >> beam.ParDo(Work(str(folder), trouble), beam.pvalue.AsSingleton(total))
            | "Gather" >> beam.combiners.ToList()
            | "Save" >> beam.Map(_save, str(folder))
        )

    return build


def result(folder: Path) -> list[Worked]:
    """What `builder`'s pipeline left, by number."""
    rows = json.loads((folder / "result.json").read_text())
    return [Worked(number=number, pid=pid, environment=env) for number, pid, env in rows]


def worker_pids(folder: Path) -> set[int]:
    """Of every worker that has begun."""
    return {int(path.name.removeprefix("worker-")) for path in folder.glob("worker-*")}


def _save(worked: list[Worked], folder: str) -> None:
    rows = sorted((one.number, one.pid, one.environment) for one in worked)
    Path(folder, "result.json").write_text(json.dumps(rows))
