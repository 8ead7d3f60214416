"""Whether the input or the step sets the pace, and which part of the input is the slow one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tpuline.components.training import speed
from tpuline.components.training.progress import Totals
from tpuline.components.training.speed import Alone, judge_input

ROWS = 64  # a batch


def slowed(elements: Any, seconds: float) -> Any:
    """The same elements, each later by `seconds`."""

    def wait(x: Any) -> Any:
        time.sleep(seconds)
        return x

    return elements.map(lambda x: tf.ensure_shape(tf.numpy_function(wait, [x], x.dtype), x.shape))


def judged(*, step_s: float, read_s: float = 0.0, parse_s: float = 0.0, feed_s: float = 0.0) -> Any:
    """The verdict on 20 steps of so many seconds each, whose input took as long beside them."""
    trainee: Any = SimpleNamespace(
        steps_per_execution=5, run_steps=lambda iterator, num_steps: num_steps * step_s
    )
    meter: Any = SimpleNamespace(
        seconds=20 * max(step_s, read_s + parse_s + feed_s),
        num_examples=20.0 * ROWS,
        steps_by_width=[20],
    )
    records = slowed(tf.data.Dataset.range(500).batch(ROWS), read_s).unbatch()
    batches = slowed(
        slowed(tf.data.Dataset.from_tensors(np.ones(ROWS, np.float32)).repeat(8), read_s), parse_s
    ).map(lambda weights: (0, weights))
    alone = Alone(records=records, batches=batches)
    return judge_input(trainee, meter, lambda i: tf.data.Dataset.range(1), lambda: alone)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_ENOUGH_SECONDS_OF_INPUT", 0.3)


@pytest.mark.parametrize(
    ("slow", "slowest"),
    [
        ({"read_s": 0.04, "parse_s": 0.005}, "read"),
        ({"read_s": 0.005, "parse_s": 0.04}, "parse"),
        ({"feed_s": 0.5, "step_s": 0.1}, "feed"),
    ],
)
def test_slowest_part_of_the_input_is_named(slow: dict[str, float], slowest: str) -> None:
    verdict = judged(**{"step_s": 0.01} | slow)
    assert (verdict.bound, verdict.slowest) == ("input", slowest)
    assert verdict.parsed_examples_per_s > 0 and verdict.read_examples_per_s > 0


def test_step_that_sets_the_pace_needs_no_look_at_the_input() -> None:
    verdict = judged(step_s=0.1, parse_s=0.05)
    assert (verdict.bound, verdict.wait_share, verdict.slowest) == ("step", 0.0, None)
    assert verdict.examples_per_s_without_input == pytest.approx(ROWS / 0.1)


def test_speed_leaves_out_the_first_window_of_each_width() -> None:
    @dataclass
    class Stub:
        window: Totals
        window_seconds: float
        shapes = ((4, 8), (2, 16))

    stub: Any = Stub(Totals(), 0.0)
    meter = speed.Speedometer(stub, 2)
    for seconds, steps in ((10.0, [2, 0]), (2.0, [2, 0]), (8.0, [1, 1]), (3.0, [0, 2])):
        stub.window = Totals(rows=10.0, tokens=50.0, steps_by_width=steps)
        stub.window_seconds = seconds
        meter.on_train_batch_end(0)
    assert meter.examples_per_s == 2 * 10.0 / 5.0
    assert meter.tokens_per_s == 2 * 50.0 / 5.0
    assert meter.steps_by_width == [2, 2]
    assert meter.runs
    assert meter.lap() == {
        "examples_per_s": 2 * 10.0 / 5.0,
        "tokens_per_s": 2 * 50.0 / 5.0,
        "padding_share": pytest.approx(1 - 100 / (2 * 4 * 8 + 2 * 2 * 16)),
    }


def test_lap_is_of_the_windows_since_the_one_before() -> None:
    window = Totals(rows=10.0, tokens=50.0, steps_by_width=[2.0, 0.5])  # two hosts were at odds
    stub: Any = SimpleNamespace(shapes=((4, 8), (2, 16)), window=window, window_seconds=1.0)
    meter = speed.Speedometer(stub, 2)
    meter.seconds_at_peak = (0.1, 0.2)
    meter.on_train_batch_end(0)
    assert meter.lap() == {} and not meter.runs  # it compiled
    for stub.window_seconds in (1.0, 3.0):
        meter.on_train_batch_end(0)
    assert meter.lap()["examples_per_s"] == 2 * 10.0 / 4.0
    stub.window_seconds = 5.0
    meter.on_train_batch_end(0)
    lap = meter.lap()
    assert (lap["examples_per_s"], meter.examples_per_s) == (10.0 / 5.0, 3 * 10.0 / 9.0)
    assert lap["model_flops_utilisation"] == pytest.approx((2 * 0.1 + 0.5 * 0.2) / 5.0)
    assert lap["padding_share"] == pytest.approx(1 - 50 / (2 * 4 * 8 + 0.5 * 2 * 16))
    later = speed.Speedometer(stub, 2)
    later.restore(meter.facts())
    assert later.lap() == {} and not later.runs
