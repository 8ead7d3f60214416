"""How much memory this process took. Standard library only."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak_memory_bytes() -> int:
    """Most physical memory that this process held since it was started.

    On Linux from /proc: `ru_maxrss` survives exec, so a child started by a large process would
    report its parent's size (getrusage(2); `setmax_mm_hiwater_rss` in fs/exec.c). macOS counts
    `ru_maxrss` in bytes.
    """
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmHWM line: peak memory cannot be measured")
