"""Promises that are broken before anybody else sees them."""

from __future__ import annotations

from tests.pipeline.run_facts import finished
from tpuline.components.handoff.config import Slo
from tpuline.components.handoff.promises import broken_promises


def test_broken_promise_names_what_was_measured() -> None:
    report = finished().evaluation
    assert report
    (told,) = broken_promises(Slo(max_memory_mb=1.0, max_cold_start_s=3600.0), report)
    assert told.startswith("max_memory_mb promises 1, and ")


def test_kept_promises_and_none_are_silent() -> None:
    report = finished().evaluation
    assert report
    kept = Slo(max_p99_ms=60_000.0, max_memory_mb=1e9, max_cold_start_s=3600.0)
    assert broken_promises(kept, report) == broken_promises(Slo(), report) == ()
