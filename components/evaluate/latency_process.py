"""SavedModel and sample rows -> latency, cold start and memory, taken in a process of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import processor
from ..child_process import ask_child
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
    measured_on: str  # processor and accelerators
    modules: tuple[str, ...]  # everything that the process had imported at its end


def measure_in_child(
    saved_model_dir: Path, rows: Sequence[tuple[str, ...]], *, settings: Latency, log: Log
) -> ServingCosts:
    """Runs `latency_child` on `rows`, (text,) or (text, text_pair) each.

    `RuntimeError` with the end of its error output when it fails.
    """
    request = {
        "saved_model_dir": str(saved_model_dir),
        "rows": rows,
        "settings": asdict(settings),
    }
    result = ask_child(
        f"{__package__}.latency_child",
        request,
        task="latency",
        on_line=lambda line: _forward(line, log),
        # Without it TensorFlow takes a whole GPU, of which this process may hold a part.
        environ={**os.environ, "TF_FORCE_GPU_ALLOW_GROWTH": "true"},
    )
    return ServingCosts(
        import_s=result["import_s"],
        cold_start_s=result["cold_start_s"],
        peak_memory_bytes=result["peak_memory_bytes"],
        profiles=tuple(
            LatencyProfile(**{**profile, "samples_ms": tuple(profile["samples_ms"])})
            for profile in result["profiles"]
        ),
        measured_on=", ".join((processor.described(), *result["accelerators"])),
        modules=tuple(result["modules"]),
    )


def _forward(line: str, log: Log) -> None:
    """Progress lines are JSON; whatever else a library prints is not for us."""
    if line.startswith('{"batch_size"'):
        event = json.loads(line)
        task = f"latency, batches of {event['batch_size']}"
        log.progress(task, event["completed"], event["total"])
