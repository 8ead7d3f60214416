"""The highest rate that meets a condition: doubled until it fails, then narrowed down. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable

MAX_STEPS = 20
"""Doublings up, or halvings down."""


def highest(meets: Callable[[float], bool], *, start: float, precision: float) -> float | None:
    """The highest rate tried of which `meets` is true, None when there is none.

    A rate that is higher by `precision`, a share, was tried and failed. What is measured is noisy,
    so that another search may end elsewhere: hence repeats.
    """
    low, high = _bracket(meets, start)
    if low is None or high is None:
        return low
    while high > low * (1 + precision):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if meets(middle) else (low, middle)
    return low


def _bracket(meets: Callable[[float], bool], start: float) -> tuple[float | None, float | None]:
    """Two rates, the second twice the first: one that is met, one that is not."""
    step = 2.0 if meets(start) else 0.5
    rate = start
    for _ in range(MAX_STEPS):
        following = rate * step
        if meets(following) != (step > 1):
            return (rate, following) if step > 1 else (following, rate)
        rate = following
    return (rate, None) if step > 1 else (None, rate)
