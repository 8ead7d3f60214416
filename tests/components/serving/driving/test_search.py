"""The search for the highest rate, against targets that are simulated, noisy ones among them."""

from __future__ import annotations

import math
import random

import pytest

from tpuline.components.serving.driving.search import MAX_FULL, MAX_SHORT, Found, about, highest

SEEDS = range(300)


class Limit:
    """Held up to a rate, give or take; remembers what was tried.

    `spread` is the standard deviation of what the machine gives at a time, as a share; `busy` is
    how often something else takes it away for the whole of a probe.
    """

    def __init__(self, limit: float, *, spread: float = 0, busy: float = 0, seed: int = 0) -> None:
        self.limit, self.spread, self.busy = limit, spread, busy
        self.random, self.tried = random.Random(seed), list[float]()

    def __call__(self, rate: float) -> bool:
        self.tried.append(rate)
        if self.random.random() < self.busy:
            return False
        return rate <= self.limit * math.exp(self.random.gauss(0, self.spread))


def search(
    limit: float, *, spread: float, busy: float, seed: int, repeats: int = 1
) -> list[tuple[Found, int, int]]:
    """What is found, and the number of short and of full-length probes; as a load test does it."""
    draw = random.Random(seed)
    short = Limit(limit, spread=3 * spread, busy=busy, seed=seed)
    full = Limit(limit, spread=spread, busy=busy, seed=seed + 1)
    ceiling = limit * draw.uniform(1.0, 2.5)
    start = about(short, ceiling=ceiling, least=1.0)
    ended = []
    for _ in range(repeats):
        before = len(full.tried)
        found = highest(full, start=start, least=1.0, precision=0.1)
        ended.append((found, len(short.tried), len(full.tried) - before))
        start = found.rate or start
    return ended


@pytest.mark.parametrize("limit", [3.0, 40.0, 41.0, 333.0, 5000.0])
@pytest.mark.parametrize("ceiling", [2.0, 50.0, 6000.0])
def test_search_without_noise_ends_within_the_precision_below_the_limit(
    limit: float, ceiling: float
) -> None:
    short, full = Limit(limit), Limit(limit)
    start = about(short, ceiling=ceiling, least=1.0)
    assert len(short.tried) <= MAX_SHORT and start <= limit
    found = highest(full, start=start, least=1.0, precision=0.1)
    assert found.settled
    assert found.rate is not None and found.rate <= limit and found.rate in full.tried
    assert limit < found.rate * 1.1 * 1.0001


@pytest.mark.parametrize("limit", [7.0, 90.0, 2500.0])
def test_search_of_a_noisy_target_is_bounded_and_lands_within_15_percent(limit: float) -> None:
    """Its capacity wanders by 4 %, and one probe in 20 meets a busy machine."""
    near = 0
    for seed in SEEDS:
        ((found, num_short, num_full),) = search(limit, spread=0.04, busy=0.05, seed=seed)
        assert num_short <= MAX_SHORT and num_full == found.num_probes <= MAX_FULL
        near += found.rate is not None and abs(math.log(found.rate / limit)) < math.log(1.15)
    assert near >= 0.97 * len(SEEDS)


def test_repeats_of_a_noisy_target_find_about_the_same_in_few_probes() -> None:
    steady, later = 0, []
    for seed in SEEDS:
        ended = search(90.0, spread=0.04, busy=0.05, seed=seed, repeats=3)
        rates = [found.rate for found, _, _ in ended if found.rate]
        steady += len(rates) == 3 and max(rates) / min(rates) - 1 <= 0.15
        later += [num_full for _, _, num_full in ended[1:]]
    assert steady >= 0.9 * len(SEEDS)
    assert sum(later) / len(later) < 5


@pytest.mark.parametrize(("spread", "busy"), [(0.3, 0.1), (0.1, 0.7), (1.0, 0.5)])
def test_search_ends_however_noisy_the_target_is(spread: float, busy: float) -> None:
    for seed in SEEDS:
        for _, num_short, num_full in search(90.0, spread=spread, busy=busy, seed=seed, repeats=3):
            assert num_short <= MAX_SHORT and num_full <= MAX_FULL


def queue(rate: float, *, service: int, num_queries: int = 1000) -> float:
    """Share of Poisson arrivals at one server that wait and are served longer than 50 ms; service
    takes 8 ms, more or less. Arrivals are the same each time but for the rate."""
    arrivals, draw = random.Random(1), random.Random(service)
    free = now = 0.0
    late = 0
    for _ in range(num_queries):
        now += arrivals.expovariate(1.0) / rate
        free = max(free, now) + 0.008 * math.exp(draw.gauss(0, 0.3))
        late += free - now > 0.05
    return late / num_queries


def test_search_of_a_queue_lands_within_15_percent_of_what_it_bears() -> None:
    """LoadGen allows about 3 late ones of 1000; short probes look at p99 of 200."""
    low, high = 10.0, 125.0
    while high > 1.01 * low:  # to the rate that half of the runs hold
        rate = math.sqrt(low * high)
        held = sum(queue(rate, service=seed) <= 0.003 for seed in range(40))
        low, high = (rate, high) if held >= 20 else (low, rate)
    near, num_full = 0, 0
    for seed in range(40):
        draw = random.Random(seed)

        def share_late(rate: float, num_queries: int, draw: random.Random = draw) -> float:
            return queue(rate, service=draw.randrange(10**9), num_queries=num_queries)

        start = about(lambda r: share_late(r, 200) <= 0.01, ceiling=120.0, least=10.0)
        found = highest(
            lambda r: share_late(r, 1000) <= 0.003, start=start, least=10.0, precision=0.1
        )
        assert found.rate is not None
        num_full += found.num_probes
        near += abs(math.log(found.rate / low)) < math.log(1.15)
    assert near >= 36 and num_full < 40 * 7


def test_one_failure_at_a_rate_that_holds_is_forgiven() -> None:
    class Once(Limit):
        def __call__(self, rate: float) -> bool:
            return super().__call__(rate) and len(self.tried) != 1

    full = Once(100.0)
    assert highest(full, start=100.0, least=1.0, precision=0.1).rate == 100.0
    assert full.tried[:2] == [100.0, 100.0]


def test_rate_that_fails_twice_is_not_taken() -> None:
    full = Limit(99.0)
    found = highest(full, start=100.0, least=1.0, precision=0.1)
    assert found.rate == pytest.approx(100 / 1.1) and found.settled
    assert full.tried == pytest.approx([100.0, 100.0, 100 / 1.1])


def test_search_gives_up_below_the_least_rate() -> None:
    full = Limit(3.0)
    found = highest(full, start=40.0, least=7.0, precision=0.1)
    assert found.rate is None and found.settled
    assert 7.0 <= min(full.tried) < 7.7


def test_search_starts_at_the_least_rate_where_the_guess_is_lower() -> None:
    full = Limit(100.0)
    assert about(Limit(100.0), ceiling=1.0, least=90.0) == 90.0
    found = highest(full, start=1.0, least=90.0, precision=0.05)
    assert found.rate is not None and found.settled and min(full.tried) == 90.0


def test_search_that_nothing_stops_ends_by_itself_with_the_highest_that_held() -> None:
    full = Limit(float("inf"))
    found = highest(full, start=1.0, least=0.5, precision=0.1)
    assert found.rate == max(full.tried) and not found.settled and found.num_probes == MAX_FULL


def test_search_whose_time_is_over_gives_the_best_that_held() -> None:
    full = Limit(500.0)
    found = highest(
        full, start=100.0, least=1.0, precision=0.1, affords=lambda _: len(full.tried) < 3
    )
    assert found == Found(rate=max(full.tried), settled=False, num_probes=3)


def test_one_probe_is_made_even_where_there_is_no_time() -> None:
    full = Limit(500.0)
    found = highest(full, start=100.0, least=1.0, precision=0.1, affords=lambda _: False)
    assert found == Found(rate=100.0, settled=False, num_probes=1)
