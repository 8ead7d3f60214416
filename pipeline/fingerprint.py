"""(stage, version, config, input keys) -> cache key. Pure; never a path, never a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

KEY_LENGTH = 16
"""Hex digits: 64 bits, so a store of a million artifacts has a collision in 1 of 10^7 cases."""


def canonical(value: Any) -> str:
    """One spelling for equal values: sorted keys, no spaces; NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def cache_key(*, stage: str, version: int, identity: Any, inputs: Mapping[str, Any]) -> str:
    """The key of an artifact: `KEY_LENGTH` hex digits of a sha256."""
    parts = {"stage": stage, "version": version, "identity": identity, "inputs": dict(inputs)}
    return hashlib.sha256(canonical(parts).encode()).hexdigest()[:KEY_LENGTH]


def plain(value: Any) -> Any:
    """The value as it reads back from JSON: tuples are lists, keys are text."""
    return json.loads(canonical(value))
