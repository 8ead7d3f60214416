"""JSON request on standard input -> JSON file: latency of a SavedModel in a fresh process.

    python -m tpuline.components.evaluate.latency_child < request.json

Does what a server does: imports TensorFlow and TensorFlow Text, loads the SavedModel, answers raw
strings. It holds no training code, no data, no Keras model, so its memory and its first answer are
those of serving. (TensorFlow 2.20 itself imports `keras.optimizers` when Keras is installed.)

Request: `saved_model_dir`, `rows` (list of [text] or [text, text_pair]), `settings` (fields of
`latency.Latency`), `result_file`. Progress goes to standard output, one JSON line an event.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..serving import answering
from ..serving.memory import peak_memory_bytes
from .latency import Latency, measure


def main() -> None:
    request = json.load(sys.stdin)
    settings = _settings(request["settings"])
    import_s = _import_tensorflow()
    started = time.perf_counter()
    model = answering.load(Path(request["saved_model_dir"]))
    rows = request["rows"]

    model.texts(_columns(rows[:1]))
    cold_start_s = time.perf_counter() - started
    profiles = [_profile(model, rows, size, settings) for size in settings.batch_sizes]
    result = {
        "import_s": import_s,
        "cold_start_s": cold_start_s,
        "peak_memory_bytes": peak_memory_bytes(),
        "accelerators": _accelerators(),
        "profiles": [asdict(profile) for profile in profiles],
        "modules": sorted(sys.modules),
    }
    Path(request["result_file"]).write_text(json.dumps(result), encoding="utf-8")


def _settings(fields: dict[str, Any]) -> Latency:
    return Latency(**{**fields, "batch_sizes": tuple(fields["batch_sizes"])})


def _import_tensorflow() -> float:
    started = time.perf_counter()
    import tensorflow_text  # noqa: F401  registers the ops that the tokenizer uses

    return time.perf_counter() - started


def _accelerators() -> list[str]:
    """Names of those that TensorFlow computes with here."""
    import tensorflow as tf

    found = [one for one in tf.config.list_physical_devices() if one.device_type != "CPU"]
    details = [tf.config.experimental.get_device_details(one) for one in found]
    return [
        facts.get("device_name", one.device_type) for one, facts in zip(found, details, strict=True)
    ]


def _columns(batch: list[list[str]]) -> list[tuple[str, ...]]:
    return list(zip(*batch, strict=True))


def _profile(
    model: answering.Answering, rows: list[list[str]], batch_size: int, settings: Latency
) -> Any:
    """Request `i` takes the next `batch_size` rows, and begins again after the last one."""

    def columns(index: int) -> list[tuple[str, ...]]:
        start = index * batch_size
        return _columns([rows[(start + i) % len(rows)] for i in range(batch_size)])

    def progress(completed: int, total: int) -> None:
        if completed % 10 == 0 or completed == total:
            event = {"batch_size": batch_size, "completed": completed, "total": total}
            print(json.dumps(event), flush=True)

    profile = measure(
        lambda index: model.texts(columns(index)),
        batch_size=batch_size,
        settings=settings,
        progress=progress,
    )
    if not model.has_token_ids:
        return profile
    tokenizer = measure(
        lambda index: model.token_ids(columns(index)),
        batch_size=batch_size,
        settings=replace(settings, max_seconds=settings.max_seconds / 10),
    )
    return replace(profile, tokenizer_p50_ms=tokenizer.p50_ms)


if __name__ == "__main__":
    main()
