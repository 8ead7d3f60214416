"""Servables and sample rows -> their speeds, taken in turns by a process of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from ..child_process import ask_child
from ..contracts import Servable
from ..stage import Log
from ..turns import Speed, Turns, speed


def measure_in_turns(
    servables: Mapping[str, Servable],
    rows: Sequence[tuple[str, ...]],
    *,
    batch_sizes: Sequence[int],
    settings: Turns,
    log: Log,
) -> dict[str, Speed]:
    """By name. `RuntimeError` with the end of the process's output when it fails."""
    done = 0

    def hear(line: str) -> None:
        nonlocal done
        if line.startswith('{"batch_size"'):
            done += 1
            note = f"batches of {json.loads(line)['batch_size']}"
            log.progress("latency in turns", done, len(batch_sizes), note)

    answer = ask_child(
        f"{__package__}.turns_child",
        {
            "folders": {
                name: str(Path(s.uri) / s.saved_model_dir) for name, s in servables.items()
            },
            "rows": rows,
            "batch_sizes": batch_sizes,
            "settings": asdict(settings),
        },
        task="latency in turns",
        on_line=hear,
        # Without it TensorFlow takes a whole GPU, of which this process may hold a part.
        environ={**os.environ, "TF_FORCE_GPU_ALLOW_GROWTH": "true"},
    )
    return {name: speed(dict(samples)) for name, samples in answer["found"].items()}
