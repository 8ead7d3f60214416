"""The highest rate that meets a condition: doubled until it fails, then narrowed down. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable

MAX_DOUBLINGS = 20
"""Doublings."""


def highest(
    meets: Callable[[float], bool], *, start: float, least: float, precision: float
) -> float | None:
    """The highest rate tried of which `meets` is true, None when there is none from `least` up.

    A rate that is higher by `precision`, a share, was tried and failed. What is measured is noisy,
    so that another search may end elsewhere: hence repeats.
    """
    low, high = _bracket(meets, max(start, least), least)
    if low is None or high is None:
        return low
    while high > low * (1 + precision):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if meets(middle) else (low, middle)
    return low


def _bracket(
    meets: Callable[[float], bool], start: float, least: float
) -> tuple[float | None, float | None]:
    """Two rates, the second at most twice the first: one that is met, one that is not."""
    if not meets(start):
        high = start
        while high > least:
            low = max(high / 2, least)
            if meets(low):
                return low, high
            high = low
        return None, high
    low = start
    for _ in range(MAX_DOUBLINGS):
        if not meets(2 * low):
            return low, 2 * low
        low *= 2
    return low, None
