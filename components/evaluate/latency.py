"""Any callable -> latency profile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..contracts import LatencyProfile

MIN_REQUESTS = 30
"""Requests that are warmed up, and timed, even when they take longer than the time limit."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How the latency of the exported model is measured."""

    batch_sizes: tuple[int, ...] = (1, 32)
    num_requests: int = 200  # per batch size
    warmup_requests: int = 20  # at least; all that are timed are made once before
    max_seconds: float = 20.0  # per batch size, of warm-up and of timing; but see MIN_REQUESTS

    def __post_init__(self) -> None:
        sizes = self.batch_sizes
        if not sizes or len(set(sizes)) < len(sizes) or not all(1 <= n <= 4096 for n in sizes):
            raise ValueError(
                "batch_sizes: must be different sizes from 1 to 4096, at least one; "
                f"received {list(sizes)}; e.g. [1, 32]"
            )
        if self.num_requests < 1:
            raise ValueError(
                f"num_requests: must be at least 1; received {self.num_requests}; "
                "take 100 or more for a p99 that means something"
            )
        if self.warmup_requests < 0:
            raise ValueError(
                f"warmup_requests: must not be negative; received {self.warmup_requests}; e.g. 20"
            )
        if not 0 < self.max_seconds <= 3600:
            raise ValueError(
                f"max_seconds: must be above 0 and at most 3600; received {self.max_seconds}; "
                "e.g. 20"
            )


def measure(
    request: Callable[[int], object],
    *,
    batch_size: int,
    settings: Latency,
    progress: Callable[[int, int], None] = lambda completed, total: None,
) -> LatencyProfile:
    """Calls `request(i)` one after another (a closed loop of one client) and times each call.

    `request` must return only when the answer is there. Only requests that were made once before
    are timed, for what compiles does so for every shape of tokens when it first comes up: where
    warm-up is cut short, timing goes round those that it reached. `progress(completed, total)` is
    called between timed requests, outside the clock.
    """
    num_warmed = _warm_up(request, settings)
    at_least = min(MIN_REQUESTS, settings.num_requests)
    samples_ms: list[float] = []
    started = time.perf_counter()
    while len(samples_ms) < settings.num_requests:
        if len(samples_ms) >= at_least and time.perf_counter() - started > settings.max_seconds:
            break
        before = time.perf_counter()
        request(len(samples_ms) % num_warmed)
        samples_ms.append((time.perf_counter() - before) * 1000)
        progress(len(samples_ms), settings.num_requests)
    return summarize(samples_ms, batch_size=batch_size, num_warmed=num_warmed)


def summarize(samples_ms: list[float], *, batch_size: int, num_warmed: int) -> LatencyProfile:
    """Percentiles interpolate linearly between samples, as `numpy.percentile` does."""
    import numpy as np

    p50, p90, p99 = np.percentile(samples_ms, [50, 90, 99])
    return LatencyProfile(
        batch_size=batch_size,
        num_requests=len(samples_ms),
        num_warmed=num_warmed,
        p50_ms=float(p50),
        p90_ms=float(p90),
        p99_ms=float(p99),
        texts_per_s=1000 * batch_size * len(samples_ms) / sum(samples_ms),
        samples_ms=tuple(samples_ms),
    )


def _warm_up(request: Callable[[int], object], settings: Latency) -> int:
    """How many different requests were made, the first ones of those to be timed."""
    at_least = min(MIN_REQUESTS, settings.num_requests)
    started = time.perf_counter()
    made = 0
    while made < max(settings.num_requests, settings.warmup_requests):
        if made >= at_least and time.perf_counter() - started > settings.max_seconds:
            break
        request(made % settings.num_requests)
        made += 1
    return min(made, settings.num_requests)
