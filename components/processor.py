"""What a measured speed holds for. Light."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def processor(root: Path = Path("/")) -> str:
    """The processor's name."""
    try:
        for line in (root / "proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux: the platform module knows a name, if a vaguer one
    return platform.processor() or platform.machine()


def described() -> str:
    """The processor and how many cores of it this process may use."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = os.cpu_count() or 1
    return f"{processor()}, {cores} {'core' if cores == 1 else 'cores'}"
