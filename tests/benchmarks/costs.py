"""What a measurement takes of the machine: processor time and memory. Standard library only."""

from __future__ import annotations

import os
import re
import resource
import threading
from pathlib import Path


class Memory(threading.Thread):
    """Peak resident memory of this process and those below it, each one's peak added up."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peaks: dict[int, float] = {}
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.2):
            self.look()

    def look(self) -> None:
        parents: dict[int, int] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                state = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2]
                parents[int(folder.name)] = int(state.split()[1])
            except OSError:
                continue  # it ended between the two looks
        for pid in parents:
            above = pid
            while above in parents and above != os.getpid():
                above = parents[above]
            if above == os.getpid():
                self.peaks[pid] = peak_mb(pid) or self.peaks.get(pid, 0.0)


def peak_mb(pid: int) -> float | None:
    """VmHWM."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else None


def cpu_seconds() -> float:
    """Of this process and of all its children that have ended."""
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(time.ru_utime + time.ru_stime for time in times)
