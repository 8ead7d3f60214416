"""LoadGen itself, against answers that come from this process."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.pipeline.run_facts import finished
from tpuline.components.contracts import LoadResult, Scenario
from tpuline.components.serving.driving import detail, loadgen
from tpuline.components.serving.driving.loadgen import Rows
from tpuline.components.serving.driving.scenarios import _shortened, measure
from tpuline.components.serving.driving.settings import Settings

ROWS = Rows(
    texts=tuple((f"{'good' if n % 2 else 'bad'} {'x' * n}",) for n in range(50)),
    labels=tuple(b"positive" if n % 2 or n == 0 else b"negative" for n in range(50)),
    answers=tuple(b"positive" if n % 2 else b"negative" for n in range(50)),
)
QUICK = Settings(min_duration_s=0.2, min_queries=700, max_duration_s=20, repeats=1)


class Words:
    """Answers by one word, `delay_s` later; fails on each text that holds `poison`."""

    def __init__(self, delay_s: float = 0.0, poison: str = "never") -> None:
        self.delay_s, self.poison, self.sizes = delay_s, poison, list[int]()

    def texts(self, columns: Sequence[Sequence[str | bytes]]) -> dict[str, Any]:
        (texts,) = columns
        self.sizes.append(len(texts))
        time.sleep(self.delay_s)
        if any(self.poison in str(text) for text in texts):
            raise OSError("poisoned")
        return {
            "label": np.array(
                [b"positive" if "good" in str(text) else b"negative" for text in texts], object
            )
        }

    def close(self) -> None:
        pass


def results(client: Words, settings: Settings, *scenarios: Scenario) -> list[LoadResult]:
    asked = replace(settings, scenarios=scenarios)
    return list(
        measure(
            client, ROWS, asked, target="toy", pid=None, num_threads=4, seed=3,
            tell=lambda _: None,
        )
    )  # fmt: skip


def test_each_scenario_asks_in_its_own_way_and_counts() -> None:
    client = Words(delay_s=0.0002)
    settings = replace(QUICK, batch_size=16)
    single, multi, offline = results(client, settings, "single_stream", "multi_stream", "offline")
    assert [one.scenario for one in (single, multi, offline)] == [
        "single_stream", "multi_stream", "offline",
    ]  # fmt: skip
    assert all(one.valid and not one.remarks for one in (single, multi, offline))
    assert single.num_queries == single.num_texts >= 700
    assert multi.num_texts == 8 * multi.num_queries >= 8 * 700
    assert offline.num_queries == 1 and offline.num_texts >= 700
    assert set(client.sizes) >= {1, 8, 16} and max(client.sizes) == 16
    assert 0.2 <= single.p50_ms <= single.p90_ms <= single.p99_ms
    assert offline.texts_per_s > multi.texts_per_s > single.texts_per_s > 0


@pytest.mark.parametrize("scenario", ["single_stream", "multi_stream", "offline"])
def test_repeats_that_are_done_are_not_asked_again(scenario: Scenario) -> None:
    settings = replace(QUICK, min_queries=64, repeats=3, scenarios=(scenario,))
    (done,) = results(Words(), replace(settings, repeats=1), scenario)
    told: list[str] = []
    found = list(
        measure(
            Words(), ROWS, settings, target="toy", pid=None, num_threads=4, seed=3,
            tell=told.append, done=[replace(done, repeat=2)],
        )
    )  # fmt: skip
    assert [(one.scenario, one.repeat) for one in found] == [(scenario, n) for n in (1, 2, 3)]
    assert found[1] == replace(done, repeat=2)
    assert set(told) == {scenario} and len(told) >= 2


def test_answers_under_load_are_compared_with_the_data_and_with_those_in_process() -> None:
    (right,) = results(Words(), QUICK, "single_stream")
    assert right.num_changed == 0
    assert right.accuracy == pytest.approx(0.98, abs=0.02) and right.accuracy != 1.0
    changed = replace(ROWS, answers=tuple(b"positive" for _ in ROWS.answers))
    outcome = loadgen.drive(
        Words(), changed, "single_stream", QUICK, rate=1000, num_threads=1, seed=1
    )
    assert 0.3 < outcome.num_changed / outcome.num_texts < 0.7


def test_scenario_that_is_faster_than_expected_is_asked_again_for_longer() -> None:
    class Hesitant(Words):
        def texts(self, columns: Sequence[Sequence[str | bytes]]) -> dict[str, Any]:
            self.delay_s = 0.02 if len(self.sizes) < 25 else 0.0  # the warm-up, and no more
            return super().texts(columns)

    settings = replace(QUICK, min_duration_s=1.0)
    (result,) = results(Hesitant(), settings, "single_stream")
    assert result.valid and result.num_queries > 2 * 700


def test_failed_requests_are_counted_and_spoil_the_run() -> None:
    outcome = loadgen.drive(
        Words(poison="x" * 49), ROWS, "single_stream", QUICK, rate=1000, num_threads=1, seed=1
    )
    assert not outcome.met
    assert replace(outcome, num_failed=0, found=replace(outcome.found, valid=True)).met
    assert 0 < outcome.num_failed < outcome.num_texts / 10
    assert outcome.first_failure == "OSError: poisoned"


class Queue(Words):
    """One text at a time, each for 1.5 ms: 670 a second and no more."""

    def __init__(self) -> None:
        super().__init__(delay_s=0.0015)
        self.lock = threading.Lock()

    def texts(self, columns: Sequence[Sequence[str | bytes]]) -> dict[str, Any]:
        with self.lock:
            return super().texts(columns)


@pytest.mark.long
def test_server_finds_about_the_rate_that_the_target_can_bear() -> None:
    """A run of a second also bears a queue that is within the bound at its end."""
    settings = replace(QUICK, p99_ms=500.0, repeats=2)
    first, second = results(Queue(), settings, "server")
    assert (first.repeat, second.repeat) == (1, 2)
    for one in (first, second):
        assert one.valid and one.p99_ms <= 500.0 and one.num_queries >= 700
        assert one.asked_per_s and 100 < one.asked_per_s < 1300
        assert 0 < one.texts_per_s < 670


def test_server_asks_the_same_at_the_same_moments_but_for_the_rate() -> None:
    seen: list[tuple[float, list[tuple[float, str]]]] = []

    class Noting(Words):
        def texts(self, columns: Sequence[Sequence[str | bytes]]) -> dict[str, Any]:
            seen[-1][1].append((time.perf_counter(), str(columns[0][0])))
            return super().texts(columns)

    for rate in (400.0, 800.0):
        seen.append((rate, []))
        loadgen.drive(Noting(), ROWS, "server", QUICK, rate=rate, num_threads=1, seed=3)
    slow, fast = ([text for _, text in asked] for _, asked in seen)
    assert slow[:600] == fast[:600]
    lengths = [asked[600][0] - asked[0][0] for _, asked in seen]
    assert lengths[0] / lengths[1] == pytest.approx(2.0, rel=0.3)


@pytest.mark.parametrize(("p99_ms", "seconds"), [(50.0, 2.0), (1000.0, 4.0), (60_000.0, 10.0)])
def test_short_run_is_long_enough_for_a_queue_to_break_the_bound(
    p99_ms: float, seconds: float
) -> None:
    settings = Settings(min_duration_s=10.0, p99_ms=p99_ms)
    assert _shortened(settings).min_duration_s == seconds
    assert _shortened(settings).min_queries == 200


def test_run_with_a_queue_that_grows_is_ended_early_and_says_so() -> None:
    settings = replace(QUICK, p99_ms=20.0, min_duration_s=20.0, max_duration_s=60.0)
    started = time.perf_counter()
    outcome = loadgen.drive(Queue(), ROWS, "server", settings, rate=4000, num_threads=4, seed=3)
    assert time.perf_counter() - started < 15
    assert not outcome.met and outcome.found.ended_early
    assert outcome.found.remarks == (
        "ended early: more queries were waiting than p99 can keep the bound with",
    )


def test_search_that_has_no_time_left_tells_the_best_rate_and_that_it_is_not_the_end() -> None:
    settings = replace(QUICK, p99_ms=1000.0, repeats=1, server_budget_s=1.0)
    (result,) = results(Queue(), settings, "server")
    assert result.valid and result.asked_per_s
    (remark,) = result.remarks
    assert remark.startswith("the search stopped after 1 runs and ")
    assert remark.endswith("before 10% more had failed twice")


def test_server_that_no_rate_suits_says_so() -> None:
    settings = replace(QUICK, p99_ms=1.0, repeats=1, max_duration_s=0.5)
    (result,) = results(Words(delay_s=0.004), settings, "server")
    assert not result.valid and result.remarks


def test_repeats_that_are_done_are_not_searched_again_and_the_next_begins_there() -> None:
    load = finished().load
    assert load
    first = replace(load.results[1], target="toy", repeat=1, asked_per_s=300.0)
    told: list[str] = []
    settings = replace(QUICK, p99_ms=500.0, repeats=2, scenarios=("server",), server_budget_s=1.0)
    both = list(
        measure(
            Queue(), ROWS, settings, target="toy", pid=None, num_threads=4, seed=3,
            tell=told.append, done=[first],
        )
    )  # fmt: skip
    assert both[0] == first and both[1].repeat == 2
    assert told == ["server at 300/s"]


def test_log_without_a_result_is_an_error_in_words() -> None:
    line = (
        ':::MLLOG {"key": "error_runtime", "value": "no queries", "metadata": {"is_error": true}}'
    )
    with pytest.raises(ValueError, match=r"^load: LoadGen must end with a result; received no que"):
        detail.parse(f"noise\n{line}\n")


def test_missing_loadgen_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
    with pytest.raises(ValueError, match=r"^load.scenarios: need .*pip install 'tpuline\[load\]'"):
        loadgen.imported()
