"""Runs a child process that takes minutes, and says so meanwhile."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence

from ....components.stage import Log

_POLL_S = 0.5
_TAIL = 2000
"""Characters of error output that are repeated."""


def run_child(
    command: Sequence[str],
    *,
    task: str,
    log: Log,
    given: bytes = b"",
    environ: Mapping[str, str] | None = None,
) -> float:
    """Waits for `command`, which reads `given`, and tells the seconds as progress of `task`.

    Returns the seconds that it took. `RuntimeError` with the end of its output when it fails.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as output:
        source.write(given)
        source.seek(0)
        with subprocess.Popen(
            list(command), stdin=source, stdout=output, stderr=output, env=environ
        ) as child:
            try:
                while child.poll() is None:
                    log.progress(task, round(time.monotonic() - started), None, "s")
                    time.sleep(_POLL_S)
            finally:
                child.kill()  # nothing happens when it has ended
        if child.returncode:
            output.seek(0)
            tail = output.read().decode(errors="replace")[-_TAIL:].strip()
            raise RuntimeError(
                f"{task}: the process ended with exit code {child.returncode}"
                f"{_hint(child.returncode)}; the end of its output:\n{tail}"
            )
    return time.monotonic() - started


def _hint(code: int) -> str:
    return " (killed, as by a system that has no memory left)" if code in (-9, 137) else ""
