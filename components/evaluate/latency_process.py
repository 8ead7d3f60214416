"""SavedModel and sample rows -> latency, cold start and memory, taken in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..contracts import LatencyProfile
from ..stage import Log
from .latency import Latency


@dataclass(frozen=True, kw_only=True)
class ServingCosts:
    """What the child process saw."""

    import_s: float  # of TensorFlow and TensorFlow Text
    cold_start_s: float  # from the load of the SavedModel to its first answer
    peak_memory_bytes: int
    profiles: tuple[LatencyProfile, ...]  # by batch size, as configured
    modules: tuple[str, ...]  # everything that the process had imported at its end


def measure_in_child(
    saved_model_dir: Path, rows: Sequence[tuple[str, ...]], *, settings: Latency, log: Log
) -> ServingCosts:
    """Runs `latency_child` on `rows`, (text,) or (text, text_pair) each.

    `RuntimeError` with the end of its error output when it fails.
    """
    with tempfile.TemporaryDirectory(prefix="tpuline-latency-") as folder:
        request_file, result_file = Path(folder) / "request.json", Path(folder) / "result.json"
        request = {
            "saved_model_dir": str(saved_model_dir),
            "rows": rows,
            "settings": asdict(settings),
            "result_file": str(result_file),
        }
        request_file.write_text(json.dumps(request), encoding="utf-8")
        _run_child(request_file, Path(folder) / "stderr.txt", log)
        result = json.loads(result_file.read_text(encoding="utf-8"))
    return ServingCosts(
        import_s=result["import_s"],
        cold_start_s=result["cold_start_s"],
        peak_memory_bytes=result["peak_memory_bytes"],
        profiles=tuple(
            LatencyProfile(**{**profile, "samples_ms": tuple(profile["samples_ms"])})
            for profile in result["profiles"]
        ),
        modules=tuple(result["modules"]),
    )


def _run_child(request_file: Path, stderr_file: Path, log: Log) -> None:
    # -P: a folder named like one of our modules in the working directory must not be imported.
    command = [sys.executable, "-P", "-m", f"{__package__}.latency_child"]
    # Without it TensorFlow takes a whole GPU, of which this process may hold a part.
    environment = {**os.environ, "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    with (
        request_file.open(encoding="utf-8") as request,
        stderr_file.open("w", encoding="utf-8") as stderr,
        subprocess.Popen(
            command,
            stdin=request,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
            text=True,
            encoding="utf-8",
        ) as child,
    ):
        assert child.stdout is not None
        try:
            for line in child.stdout:
                _forward(line, log)
            code = child.wait()
        finally:
            child.kill()  # nothing happens when it has ended
    if code:
        tail = stderr_file.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
        raise RuntimeError(
            f"the process that measures latency ended with exit code {code}; "
            f"the end of its error output:\n{tail}"
        )


def _forward(line: str, log: Log) -> None:
    """Progress lines are JSON; whatever else a library prints is not for us."""
    if line.startswith('{"batch_size"'):
        event = json.loads(line)
        task = f"latency, batches of {event['batch_size']}"
        log.progress(task, event["completed"], event["total"])
