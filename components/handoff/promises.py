"""Promises of a config -> those that what was measured here breaks already. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..contracts import EvalReport
from .config import Slo


@dataclass(frozen=True, kw_only=True)
class Warmed:
    """The requests that a server replays between loading and being ready."""

    num_requests: int = 0
    seconds: float | None = None  # what compiles does so here; None: there are none


def broken_promises(slo: Slo, report: EvalReport, warmed: Warmed) -> tuple[str, ...]:
    """One sentence each. What is asked of the samples is left to whoever accepts."""
    smallest = min(report.latency, key=lambda profile: profile.batch_size)
    measured = {
        "max_p99_ms": smallest.p99_ms if smallest.batch_size == 1 else None,
        "max_cold_start_s": report.cold_start_s,
        "max_warm_up_s": warmed.seconds,
        "max_memory_mb": report.peak_memory_bytes / 1e6,
    }
    return tuple(
        f"{name} promises {bound:g}, and {value:.4g} was measured here"
        for name, value in measured.items()
        if value is not None and (bound := getattr(slo, name)) is not None and value > bound
    )
