"""Timing in turns, on a simulated machine that is busy at times."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tpuline.components.turns import MIN_ROUNDS, Turns, measure, speed


class Machine:
    """A clock, and callables that take time by it: three times as long in the second half hour."""

    def __init__(self, *, busy_from: float = float("inf"), factor: float = 3.0) -> None:
        self.now, self.busy_from, self.factor = 0.0, busy_from, factor
        self.made = list[tuple[str, int]]()

    def clock(self) -> float:
        return self.now

    def takes(self, name: str, seconds: float) -> Callable[[int], object]:
        def request(index: int) -> None:
            self.made.append((name, index))
            self.now += seconds * (self.factor if self.now >= self.busy_from else 1.0)

        return request


def means(machine: Machine, settings: Turns, **seconds: float) -> dict[str, float]:
    requests = {name: machine.takes(name, each) for name, each in seconds.items()}
    found = measure(requests, settings, clock=machine.clock)
    return {name: 1000 / speed({1: samples}).texts_per_s for name, samples in found.items()}


def test_quiet_machine_gives_what_each_takes() -> None:
    found = means(Machine(), Turns(), base=0.005, fast=0.003)
    assert found == {"base": pytest.approx(5.0), "fast": pytest.approx(3.0)}


@pytest.mark.parametrize("seed", range(20))
def test_busy_spell_falls_on_all_alike_whenever_it_begins(seed: int) -> None:
    settings = Turns(rounds=20, requests=10)
    whole = Machine()
    means(whole, settings, a=0.005, b=0.004, c=0.0045)
    begins = random.Random(seed).uniform(0.0, whole.now)
    found = means(Machine(busy_from=begins), settings, a=0.005, b=0.004, c=0.0045)
    assert found["a"] / found["b"] == pytest.approx(1.25, rel=0.1)
    assert found["a"] / found["c"] == pytest.approx(1.11, rel=0.1)


def test_stall_that_hits_one_turn_is_nobodys_p99() -> None:
    machine = Machine()
    steady = machine.takes("a", 0.005)
    calls = 0

    def stalls(index: int) -> None:
        nonlocal calls
        calls += 1
        machine.now += 0.9 if calls == 100 else 0.004

    found = measure({"a": steady, "b": stalls}, Turns(), clock=machine.clock)
    assert speed({1: found["b"]}).p99_ms == pytest.approx(4.0)
    half = Turns().rounds // 2 * Turns().requests
    assert len(found["a"]) == len(found["b"]) == half


def test_every_variant_makes_the_same_requests_and_each_was_made_before() -> None:
    machine = Machine()
    means(machine, Turns(rounds=6, requests=5), a=0.001, b=0.001)
    made = {name: [index for who, index in machine.made if who == name] for name in "ab"}
    assert made["a"] == made["b"]
    assert made["a"][:20] == list(range(20)) and set(made["a"][20:]) == set(range(20))


def test_nobody_always_comes_after_the_same_one() -> None:
    machine = Machine()
    means(machine, Turns(rounds=40, requests=2), a=0.001, b=0.001, c=0.001, d=0.001)
    timed = [name for name, _ in machine.made[4 * 8 :]]  # after the warm-up
    after = Counter((x, y) for x, y in itertools.pairwise(timed) if x != y)
    assert len(after) == 12 and max(after.values()) < 0.5 * 40


def test_threads_that_go_on_spinning_slow_nobody_who_comes_next() -> None:
    machine, spinning_until = Machine(), 0.0

    def spins(index: int) -> None:
        nonlocal spinning_until
        machine.now += 0.001
        spinning_until = machine.now + 0.015

    def suffers(index: int) -> None:
        machine.now += 0.006 if machine.now < spinning_until else 0.002

    found = measure({"spins": spins, "suffers": suffers}, Turns(rounds=9), clock=machine.clock)
    assert found["suffers"] == pytest.approx([2.0] * len(found["suffers"]))


def test_time_limit_cuts_rounds_for_all_and_warm_up_to_requests_that_come_again() -> None:
    machine = Machine()
    requests = {name: machine.takes(name, 1.0) for name in "ab"}
    found = measure(requests, Turns(rounds=50, requests=4, max_seconds=1.0), clock=machine.clock)
    assert [len(samples) for samples in found.values()] == [4 * (MIN_ROUNDS + 1) // 2] * 2
    assert {index for _, index in machine.made} == {0, 1, 2, 3}


def test_speed_takes_latency_of_the_smallest_batch_and_the_best_of_all_throughputs() -> None:
    found = speed({32: [80.0, 80.0], 1: [4.0, 6.0]})
    assert (found.p50_ms, found.texts_per_s) == (5.0, pytest.approx(400.0))
    assert found.p99_ms == pytest.approx(5.98)
    assert (found.large_p50_ms, found.large_p99_ms) == (80.0, 80.0)


@pytest.mark.parametrize(
    ("field", "value"), [("rounds", -1), ("requests", 0), ("max_seconds", 0.0)]
)
def test_setting_that_cannot_be_meant_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: must .*; received {value}; "):
        Turns(**{field: value})
