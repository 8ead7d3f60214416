"""Model folder and rows -> its latency by the threads that TensorFlow computes with.

TensorFlow takes its threads once a process, so each setting has one of its own; they take turns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..child_process import failed
from ..load_records import ThreadTiming
from ..stage import Log
from ..turns import Turns, measure

TASK = "latency by threads"


@dataclass(frozen=True, kw_only=True)
class Threads:
    """Of TensorFlow; what a server sets as `--tensorflow_intra_op_parallelism` and so on."""

    intra_op: int = 0  # that one op is cut up for; 0: one a core
    inter_op: int = 0  # for ops that do not wait for each other; 0: one a core

    def __post_init__(self) -> None:
        for name in ("intra_op", "inter_op"):
            if not 0 <= getattr(self, name) <= 1024:
                raise ValueError(
                    f"{name}: must lie between 0 and 1024; received {getattr(self, name)}; "
                    "0 is one a core"
                )


class Asked:
    """A process that holds the model, with so many threads. It is loading when this is made.

    Raises:
        RuntimeError: by every method, when the process has ended; with the end of its output.
    """

    def __init__(self, threads: Threads, request: Mapping[str, Any], errors: Path) -> None:
        self._errors = errors
        wanted = {
            "TF_NUM_INTRAOP_THREADS": str(threads.intra_op),
            "TF_NUM_INTEROP_THREADS": str(threads.inter_op),
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # else one process takes a whole GPU
        }
        with errors.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", f"{__package__}.threads_child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env=os.environ | wanted,
            )
        self._say(json.dumps(request))

    def ready(self) -> None:
        """Waits until it has loaded the model."""
        self._hear("ready")

    def request(self, batch_size: int, number: int) -> None:
        """Has it answer the request of a number."""
        self._say(f"{batch_size} {number}")
        self._hear("answered")

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _say(self, line: str) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with suppress(BrokenPipeError):  # the missing reply tells
            pipe.write(line + "\n")
            pipe.flush()

    def _hear(self, reply: str) -> None:
        """What else a library prints is not for us."""
        pipe = self._process.stdout
        assert pipe is not None
        for line in pipe:
            if line.strip() == reply:
                return
        raise failed(TASK, self._process.wait(), self._errors.read_bytes())


def by_threads(
    folder: Path,
    rows: Sequence[tuple[str, ...]],
    settings: Sequence[Threads],
    *,
    batch_sizes: Sequence[int],
    turns: Turns,
    log: Log,
) -> tuple[ThreadTiming, ...]:
    """What TensorFlow takes by itself first, then `settings`.

    Raises:
        RuntimeError: a process failed; with the end of its output.
    """
    found: list[ThreadTiming] = []
    request = {"folder": str(folder), "rows": rows}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="tpuline-threads-")))
        asked: dict[Threads, Asked] = {}
        for number, threads in enumerate(dict.fromkeys((Threads(), *settings))):
            asked[threads] = Asked(threads, request, scratch / f"{number}.txt")
            stack.callback(asked[threads].end)
        for process in asked.values():
            process.ready()
        for done, size in enumerate(batch_sizes, start=1):
            requests = {str(t): partial(process.request, size) for t, process in asked.items()}
            samples = measure(requests, turns)
            found += [_timing(threads, size, samples[str(threads)]) for threads in asked]
            log.progress(TASK, done, len(batch_sizes), f"batches of {size}")
    return tuple(found)


def _timing(threads: Threads, size: int, samples_ms: Sequence[float]) -> ThreadTiming:
    import numpy as np

    p50, p90 = np.percentile(samples_ms, [50, 90]).tolist()
    return ThreadTiming(
        intra_op=threads.intra_op,
        inter_op=threads.inter_op,
        batch_size=size,
        num_requests=len(samples_ms),
        p50_ms=p50,
        p90_ms=p90,
    )
