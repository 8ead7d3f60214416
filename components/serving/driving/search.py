"""The highest rate that a noisy target bears, in a bounded number of probes. Pure.

First short probes say about where it is: each is a hint, none counts. Then full-length ones walk a
grid of rates from there, in steps that widen until the rate is passed and then halve. A rate that
fails is tried once more, for what is busy beside the target fails it as surely as the rate does.

LoadGen has a search of its own (FindPeakPerformance). It asks at full length only, believes each
run, needs a rate that holds to begin with and gives up without, and knows no end but its precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

MAX_SHORT = 12
MAX_FULL = 12
"""Probes of a search, those included that are made once more."""

_FIRST = 0.7
"""Of what is borne without a bound: about what random arrivals leave of it."""

_COARSE = 0.25
"""Short probes tell no finer than by this share."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """How a search ended."""

    rate: float | None  # None: none held, from `least` up or from where time was over
    settled: bool  # the next rate of the grid failed twice; or all did, down to the least
    num_probes: int


def about(
    holds: Callable[[float], bool],
    *,
    ceiling: float,
    least: float,
    affords: Callable[[float], bool] = lambda rate: True,
) -> float:
    """A rate of which a short probe said that it holds, `least` when it said so of none.

    Args:
        holds: a short probe.
        ceiling: what the target answers when nothing bounds latency.
        affords: as of `highest`.
    """
    found = highest(
        holds,
        start=_FIRST * ceiling,
        least=least,
        precision=_COARSE,
        affords=affords,
        max_probes=MAX_SHORT,
    )
    return found.rate or least


def highest(
    holds: Callable[[float], bool],
    *,
    start: float,
    least: float,
    precision: float,
    affords: Callable[[float], bool] = lambda rate: True,
    max_probes: int = MAX_FULL,
) -> Found:
    """The highest rate of `start` times powers of 1 + `precision`, `least` or more, that held.

    Ends after `max_probes`, and before one that `affords` denies; one is made in any case.
    Another search that starts at the same rate, or at one that this one found, walks the same grid.

    Args:
        holds: a probe.
        affords: whether there is time for a probe at a rate.
    """
    start, step = max(start, least), 1 + precision
    lowest = math.ceil(math.log(least / start) / math.log(step) - 1e-9)
    low: int | None = None  # exponents: the highest that held, the lowest that did not
    high: int | None = None
    place, stride, num_probes = 0, 1, 0
    while True:
        rate, failures = start * step**place, 0
        while failures < 2:
            if num_probes == max_probes or (num_probes and not affords(rate)):
                found = None if low is None else start * step**low
                return Found(rate=found, settled=False, num_probes=num_probes)
            num_probes += 1
            if holds(rate):
                break
            failures += 1
        low, high = (low, place) if failures == 2 else (place, high)
        if low is None and high == lowest:
            return Found(rate=None, settled=True, num_probes=num_probes)
        if low is not None and high == low + 1:
            return Found(rate=start * step**low, settled=True, num_probes=num_probes)
        place, stride = _next(low, high, stride, lowest)


def _next(low: int | None, high: int | None, stride: int, lowest: int) -> tuple[int, int]:
    """The next place on the grid, and the stride after it."""
    if low is None:
        assert high is not None
        return max(high - stride, lowest), 2 * stride
    if high is None:
        return low + stride, 2 * stride
    return (low + high) // 2, stride
