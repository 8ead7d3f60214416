"""A bundle whose model is no model: for what looks at files only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tpuline.components.serving import bundle

MARKER: dict[str, Any] = {
    "format_version": bundle.FORMAT,
    "name": "toy",
    "version": 3,
    "variant": "base",
    "format": "saved_model",
    "label_names": ["no", "yes"],
    "has_text_pair": False,
    "sequence_length": 8,
    "tolerance": 1e-4,
    "threshold": None,
    "blessed": True,
}


def write(folder: Path, *, version: int = 3, content: bytes = b"a model") -> Path:
    """A whole one."""
    model_dir = folder / "toy" / str(version)
    (model_dir / "variables").mkdir(parents=True)
    (model_dir / "saved_model.pb").write_bytes(content)
    (model_dir / "variables" / "variables.index").write_bytes(b"index of it")
    (folder / "samples.json").write_text("{}")
    return seal(folder, {"version": version})


def seal(folder: Path, changed: Mapping[str, Any] | None = None) -> Path:
    """Sums and marker of what is there, as a forger would write them who knows how."""
    sums = bundle.digests(folder)
    (folder / bundle.SUMS).write_text(sums)
    digest = hashlib.sha256(sums.encode()).hexdigest()
    facts = {**MARKER, **(changed or {}), "sums_sha256": digest}
    (folder / bundle.MARKER).write_text(bundle.marker_text(facts))
    return folder
