"""The search for the highest rate."""

from __future__ import annotations

import pytest

from tpuline.components.serving.driving.search import highest


class Limit:
    """Met up to a rate; remembers what was tried."""

    def __init__(self, limit: float) -> None:
        self.limit, self.tried = limit, list[float]()

    def __call__(self, rate: float) -> bool:
        self.tried.append(rate)
        return rate <= self.limit


@pytest.mark.parametrize("limit", [3.0, 40.0, 41.0, 333.0, 5000.0])
def test_search_ends_within_the_precision_below_the_limit(limit: float) -> None:
    meets = Limit(limit)
    found = highest(meets, start=40.0, least=1.0, precision=0.1)
    assert found is not None and found <= limit < found * 1.1
    assert found in meets.tried and len(meets.tried) < 15


def test_search_gives_up_below_the_least_rate() -> None:
    meets = Limit(3.0)
    assert highest(meets, start=40.0, least=7.0, precision=0.1) is None
    assert min(meets.tried) == 7.0


def test_search_starts_at_the_least_rate_where_the_guess_is_lower() -> None:
    meets = Limit(100.0)
    assert highest(meets, start=1.0, least=90.0, precision=0.05) is not None
    assert min(meets.tried) == 90.0


def test_search_that_nothing_stops_ends_by_itself() -> None:
    meets = Limit(float("inf"))
    assert highest(meets, start=1.0, least=0.5, precision=0.1) == max(meets.tried) / 1
    assert len(meets.tried) < 30
