"""What processes use while they are watched: processor seconds and memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

PERIOD_S = 0.1


@dataclass(kw_only=True)
class Costs:
    """Of a process and all below it. Complete when the watch has ended."""

    cpu_cores: float = 0.0  # processor seconds a second
    peak_memory_bytes: int = 0  # resident, of all together; what they share counts for each


@contextmanager
def watched(pid: int | None) -> Iterator[Costs | None]:
    """The costs of the block, by the process `pid` and all below it; None without a process."""
    if pid is None:
        yield None
        return
    costs, done = Costs(), threading.Event()
    process = psutil.Process(pid)

    def watch() -> None:
        while True:
            costs.peak_memory_bytes = max(costs.peak_memory_bytes, _memory_bytes(process))
            if done.wait(PERIOD_S):
                return

    watcher = threading.Thread(target=watch, daemon=True)
    before, started = _cpu_s(process), time.perf_counter()
    watcher.start()
    try:
        yield costs
    finally:
        seconds = time.perf_counter() - started
        costs.cpu_cores = max(0.0, _cpu_s(process) - before) / seconds
        done.set()
        watcher.join()


def _tree(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []


def _cpu_s(process: psutil.Process) -> float:
    total = 0.0
    for one in _tree(process):
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
    return total


def _memory_bytes(process: psutil.Process) -> int:
    total = 0
    for one in _tree(process):
        with suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total
