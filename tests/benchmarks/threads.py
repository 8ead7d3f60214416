"""Latency of one exported model by the number of threads that TensorFlow computes with.

    python tests/benchmarks/threads.py --shards RUNS/preprocess/KEY --model RUNS/export/KEY/NAME/1

Real rows of the test split, one text a request and 32. Every setting is a process of its own, for
TensorFlow takes its threads once; they take turns, so that a machine that is busy for a while is so
for all. Settings are intra-op x inter-op threads, `0x0` what TensorFlow takes by itself; a server
sets them as `--tensorflow_intra_op_parallelism` and `--tensorflow_inter_op_parallelism`. Prints the
medians of the turns' p50, and p99 over all turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

MAX_ROWS = 512
BATCH_SIZES = (1, 32)


def child(model: str, rows: Sequence[str], requests: int) -> None:
    """For each line of standard input, milliseconds of the requests of a batch size."""
    from tpuline.components.serving import answering

    served = answering.load(Path(model))

    def ask(number: int, size: int) -> float:
        batch = [rows[(number * size + i) % len(rows)] for i in range(size)]
        before = time.perf_counter()
        served.texts([batch])
        return 1000 * (time.perf_counter() - before)

    for size in BATCH_SIZES:  # shapes are compiled when they first come up
        for number in range(requests):
            ask(number, size)
    for line in sys.stdin:
        size = int(line)
        print("TIMES " + json.dumps([ask(n, size) for n in range(requests)]), flush=True)


class Setting:
    """A process with so many threads."""

    def __init__(self, name: str, request: dict[str, Any]) -> None:
        self.name = name
        intra, inter = name.split("x")
        threads = {"TF_NUM_INTRAOP_THREADS": intra, "TF_NUM_INTEROP_THREADS": inter}
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | (threads if name != "0x0" else {}) | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self._say(json.dumps(request))

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def turn(self, size: int) -> list[float]:
        self._say(str(size))
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("TIMES "):
                times: list[float] = json.loads(line.removeprefix("TIMES "))
                return times
        sys.exit(f"{self.name}: the process ended")

    def end(self) -> None:
        self._process.communicate()


def main() -> None:
    from tpuline.components import texts
    from tpuline.pipeline import api

    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shards", required=True, type=Path)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--settings", nargs="+", default=["0x0", "1x1", f"{cores}x1", f"1x{cores}"])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--requests", type=int, default=30)
    args = parser.parse_args()
    shards = api.open_artifact(args.shards)
    rows = [row[0] for row in texts.sample_rows(shards, "test", num_rows=MAX_ROWS, seed=0)]
    request = {"model": str(args.model), "rows": rows, "requests": args.requests}
    settings = [Setting(name, request) for name in args.settings]
    print(f"{cores} cores; {args.rounds} rounds of {args.requests} requests")
    for size in BATCH_SIZES:
        turns: dict[str, list[list[float]]] = {setting.name: [] for setting in settings}
        for number in range(args.rounds):
            start = number % len(settings)
            for setting in (*settings[start:], *settings[:start]):
                turns[setting.name].append(setting.turn(size))
        print(f"\n{size} text(s) a request\n{'intra x inter':<14} {'p50 ms':>8} {'p99 ms':>8}")
        for name, times in turns.items():
            every = sorted(ms for turn in times for ms in turn)
            p50, p99 = median(map(median, times)), every[int(0.99 * len(every))]
            print(f"{name:<14} {p50:8.2f} {p99:8.2f}", flush=True)
    for setting in settings:
        setting.end()


if __name__ == "__main__":
    if "--child" in sys.argv:
        asked = json.loads(sys.stdin.readline())
        child(asked["model"], asked["rows"], asked["requests"])
    else:
        main()
