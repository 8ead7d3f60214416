"""Several callables -> the latency of each, taken in turns: what else is busy falls on all."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

MIN_ROUNDS = 3
"""That are made even when they take longer than the time limit."""

DIFFERENT = 4
"""Rounds until the same requests come again."""

SETTLE_S = 0.02
"""Of requests that are not timed, at the start of a turn: threads of other runtimes go on spinning
for milliseconds after their last answer, and would take the cores from whoever is next."""

Request = Callable[[int], object]
"""Makes the request of a number, and returns when the answer is there."""


@dataclass(frozen=True, kw_only=True)
class Turns:
    """How several are timed side by side."""

    rounds: int = 60  # the quieter half counts; 0: none
    requests: int = 10  # of each a round
    max_seconds: float = 60.0  # a batch size, of warm-up and of timing; but see MIN_ROUNDS

    def __post_init__(self) -> None:
        for name, low, high in (("rounds", 0, 1000), ("requests", 1, 1000)):
            if not low <= getattr(self, name) <= high:
                raise ValueError(
                    f"{name}: must lie between {low} and {high}; received {getattr(self, name)}; "
                    f"the default is {type(self).__dataclass_fields__[name].default}"
                )
        if not 0 < self.max_seconds <= 3600:
            raise ValueError(
                f"max_seconds: must be above 0 and at most 3600; received {self.max_seconds}; "
                "e.g. 60"
            )


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What `VariantResult` tells of the speed of a variant."""

    p50_ms: float  # of the smallest batch
    p99_ms: float
    large_p50_ms: float  # of the largest
    large_p99_ms: float
    texts_per_s: float  # of the batch that gives most


def measure(
    requests: Mapping[str, Request],
    settings: Turns,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Milliseconds of requests by name, as many of each.

    In a round each makes the same requests, one after another, in an order drawn anew: nobody
    always comes after the same one. The first of a turn, `SETTLE_S` long, are not timed: they find
    what the one before left in the caches and on the cores. Every request was made before, for
    what compiles does so for each new shape. The quieter half of the rounds counts: one stall of
    the machine would be the p99 of whom it hits.
    """
    names = list(requests)
    number = _warm_up(requests, settings, clock)
    rounds: list[dict[str, list[float]]] = []
    started, order = clock(), random.Random(0)
    for turn in range(settings.rounds):
        if turn >= MIN_ROUNDS and clock() - started > settings.max_seconds:
            break
        indices = [(turn * settings.requests + i) % number for i in range(settings.requests)]
        samples: dict[str, list[float]] = {}
        for name in order.sample(names, len(names)):
            _settle(requests[name], indices, clock)
            samples[name] = [_milliseconds(requests[name], index, clock) for index in indices]
        rounds.append(samples)
    return {name: [ms for one in quieter(rounds) for ms in one[name]] for name in names}


def quieter(rounds: Sequence[Mapping[str, Sequence[float]]]) -> list[Mapping[str, Sequence[float]]]:
    """The half, at least, in which no variant was much slower than it mostly is."""
    usual = {name: median(sum(one[name]) for one in rounds) for name in rounds[0]}
    ranked = sorted(rounds, key=lambda one: max(sum(one[n]) / usual[n] for n in usual))
    return ranked[: (len(ranked) + 1) // 2]


def _settle(request: Request, indices: Sequence[int], clock: Callable[[], float]) -> None:
    """At least one request."""
    until = clock() + SETTLE_S
    for index in itertools.cycle(reversed(indices)):
        request(index)
        if clock() >= until:
            break


def _milliseconds(request: Request, index: int, clock: Callable[[], float]) -> float:
    before = clock()
    request(index)
    return 1000 * (clock() - before)


def speed(samples_ms: Mapping[int, Sequence[float]]) -> Speed:
    """Of the samples by batch size."""
    import numpy as np

    small, large = (
        np.percentile(samples_ms[size], [50, 99]).tolist()
        for size in (min(samples_ms), max(samples_ms))
    )
    return Speed(
        p50_ms=small[0],
        p99_ms=small[1],
        large_p50_ms=large[0],
        large_p99_ms=large[1],
        texts_per_s=max(1000 * size * len(ms) / sum(ms) for size, ms in samples_ms.items()),
    )


def _warm_up(requests: Mapping[str, Request], settings: Turns, clock: Callable[[], float]) -> int:
    """How many different requests all have made."""
    started, made = clock(), 0
    while made < DIFFERENT * settings.requests:
        if made >= settings.requests and clock() - started > settings.max_seconds:
            break
        for request in requests.values():
            request(made)
        made += 1
    return made
