"""Processes that do one piece of work for this one: waited for, or listened to."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .stage import Log

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
                child.wait()  # Popen waits no longer than 0.25 s when it is interrupted
        if child.returncode:
            output.seek(0)
            raise failed(task, child.returncode, output.read())
    return time.monotonic() - started


def ask_child(
    module: str,
    request: Mapping[str, Any],
    *,
    task: str,
    on_line: Callable[[str], None],
    environ: Mapping[str, str],
    timeout_s: float | None = None,
) -> dict[str, Any]:
    """What a module of ours answers in a fresh Python: JSON in, JSON out.

    It reads `request` from standard input and writes its answer to the file that
    `request["result_file"]` names. `on_line` gets each line of its standard output.
    `RuntimeError` with the end of its error output when it fails, or is not done after `timeout_s`.
    """
    with tempfile.TemporaryDirectory(prefix="tpuline-child-") as folder:
        request_file, result_file = Path(folder) / "request.json", Path(folder) / "result.json"
        whole = {**request, "result_file": str(result_file)}
        request_file.write_text(json.dumps(whole), encoding="utf-8")
        # -P: a folder named like one of our modules in the working directory must not be imported.
        command = [sys.executable, "-P", "-m", module]
        errors = Path(folder) / "stderr.txt"
        _listen(command, request_file, errors, task, on_line, environ, timeout_s)
        answer: dict[str, Any] = json.loads(result_file.read_text(encoding="utf-8"))
    return answer


def _listen(
    command: list[str],
    request_file: Path,
    stderr_file: Path,
    task: str,
    on_line: Callable[[str], None],
    environ: Mapping[str, str],
    timeout_s: float | None,
) -> None:
    late = threading.Event()
    with (
        request_file.open(encoding="utf-8") as request,
        stderr_file.open("w", encoding="utf-8") as stderr,
        subprocess.Popen(
            command,
            stdin=request,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environ,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as child,
    ):
        assert child.stdout is not None

        def end() -> None:
            late.set()
            child.kill()

        clock = threading.Timer(timeout_s, end) if timeout_s is not None else None
        try:
            if clock is not None:
                clock.start()
            for line in child.stdout:
                on_line(line)
            code = child.wait()
        finally:
            if clock is not None:
                clock.cancel()
            child.kill()  # nothing happens when it has ended
            child.wait()  # Popen waits no longer than 0.25 s when it is interrupted
    if late.is_set():
        raise RuntimeError(f"{task}: not done after {timeout_s} s, and ended")
    if code:
        raise failed(task, code, stderr_file.read_bytes())


def failed(task: str, code: int, output: bytes) -> RuntimeError:
    """What a process that ended with `code` is told as."""
    tail = output.decode(errors="replace")[-_TAIL:].strip()
    return RuntimeError(
        f"{task}: the process ended with exit code {code}{_hint(code)}; the end of its "
        f"output:\n{tail}"
    )


def _hint(code: int) -> str:
    return " (killed, as by a system that has no memory left)" if code in (-9, 137) else ""
