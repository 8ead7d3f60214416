"""Model folder and rows -> its latency by the threads that TensorFlow computes with.

TensorFlow takes its threads once a process, so each setting has one of its own; they take turns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import IO, Any

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
    """A process that holds the model, with so many threads."""

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

    def request(self, batch_size: int, number: int) -> None:
        """Has it answer the request of a number; `RuntimeError` when it cannot."""
        self._say(f"{batch_size} {number}")
        reply = self._pipe(self._process.stdout).readline()
        if reply.strip() != "answered":
            self._process.wait()
            tail = self._errors.read_text("utf-8", errors="replace")[-2000:].strip()
            raise RuntimeError(f"{TASK}: the process ended; the end of its output:\n{tail}")

    def _say(self, line: str) -> None:
        pipe = self._pipe(self._process.stdin)
        try:
            pipe.write(line + "\n")
            pipe.flush()
        except BrokenPipeError:
            pass  # the missing reply tells

    def _pipe(self, pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


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
    asked = dict.fromkeys((Threads(), *settings))
    request = {"folder": str(folder), "rows": rows}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="tpuline-threads-")))
        processes: dict[Threads, Asked] = {}
        for number, threads in enumerate(asked):
            processes[threads] = Asked(threads, request, scratch / f"{number}.txt")
            stack.callback(processes[threads].end)
        for done, size in enumerate(batch_sizes):
            log.progress(TASK, done, len(batch_sizes), f"batches of {size}")
            requests = {str(t): _request(process, size) for t, process in processes.items()}
            samples = measure(requests, turns)
            found += [_timing(threads, size, samples[str(threads)]) for threads in processes]
    return tuple(found)


def _request(process: Asked, size: int) -> Any:
    return lambda number: process.request(size, number)


def _timing(threads: Threads, size: int, samples_ms: Sequence[float]) -> ThreadTiming:
    ordered = sorted(samples_ms)
    return ThreadTiming(
        intra_op=threads.intra_op,
        inter_op=threads.inter_op,
        batch_size=size,
        p50_ms=median(ordered),
        p99_ms=ordered[int(0.99 * len(ordered))],
    )
