"""Promises that are broken before anybody else sees them."""

from __future__ import annotations

from tests.pipeline.run_facts import finished
from tpuline.components.handoff.config import Slo
from tpuline.components.handoff.promises import Warmed, broken_promises

WARMED = Warmed(num_requests=40, seconds=7.5)


def test_broken_promise_names_what_was_measured() -> None:
    report = finished().evaluation
    assert report
    (told,) = broken_promises(Slo(max_memory_mb=1.0, max_cold_start_s=3600.0), report, WARMED)
    assert told.startswith("max_memory_mb promises 1, and ")


def test_kept_promises_and_none_are_silent() -> None:
    report = finished().evaluation
    assert report
    kept = Slo(max_p99_ms=6e4, max_memory_mb=1e9, max_cold_start_s=3600.0, max_warm_up_s=7.5)
    assert broken_promises(kept, report, WARMED) == broken_promises(Slo(), report, WARMED) == ()


def test_warm_up_that_takes_longer_than_promised_is_told() -> None:
    report = finished().evaluation
    assert report
    (told,) = broken_promises(Slo(max_warm_up_s=5.0), report, WARMED)
    assert told == "max_warm_up_s promises 5, and 7.5 was measured here"
