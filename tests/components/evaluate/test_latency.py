"""Latency: the timing of a callable, and the process that serves for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tpuline.components.contracts import Servable
from tpuline.components.evaluate.latency import MIN_REQUESTS, Latency, measure, summarize
from tpuline.components.evaluate.latency_process import measure_in_child
from tpuline.components.processor import processor

from .conftest import Recorder


class Work:
    """Sums of known sizes: request i costs the more the larger `sizes[i]` is."""

    def __init__(self, size: int = 20_000, slow: tuple[int, ...] = ()) -> None:
        self.size, self.slow, self.asked = size, slow, []

    def __call__(self, index: int) -> int:
        self.asked.append(index)
        return sum(range(self.size * (100 if index in self.slow else 1)))


def test_percentiles_and_throughput_of_known_samples():
    profile = summarize([float(n) for n in range(1, 101)], batch_size=4, num_warmed=9)
    assert (profile.p50_ms, profile.p90_ms, profile.p99_ms) == pytest.approx((50.5, 90.1, 99.01))
    assert profile.texts_per_s == pytest.approx(4 * 100 / 5.050)
    assert (profile.num_requests, profile.num_warmed, profile.batch_size) == (100, 9, 4)
    assert profile.samples_ms[:3] == (1.0, 2.0, 3.0)


class Compiler(Work):
    """As a compiled model: every request costs much when it is made for the first time."""

    def __call__(self, index: int) -> int:
        self.slow = () if index in self.asked else (index,)
        return super().__call__(index)


def test_no_request_is_timed_that_was_never_made_before():
    compiler = Compiler()
    profile = measure(compiler, batch_size=1, settings=Latency(num_requests=60))
    assert compiler.asked == [*range(60), *range(60)]
    assert (profile.num_requests, profile.num_warmed) == (60, 60)
    assert profile.p90_ms < 20 * profile.p50_ms


def test_warm_up_that_is_cut_short_leaves_the_requests_it_did_not_reach_untimed():
    settings = Latency(num_requests=10_000, max_seconds=1e-6)
    compiler = Compiler()
    profile = measure(compiler, batch_size=1, settings=settings)
    assert compiler.asked == [*range(MIN_REQUESTS), *range(MIN_REQUESTS)]
    assert (profile.num_requests, profile.num_warmed) == (MIN_REQUESTS, MIN_REQUESTS)


def test_few_requests_are_warmed_up_as_often_as_asked_for():
    work = Work()
    profile = measure(work, batch_size=1, settings=Latency(num_requests=2, warmup_requests=5))
    assert work.asked == [0, 1, 0, 1, 0, 0, 1]
    assert profile.num_warmed == 2


def test_a_slow_request_shows_in_the_tail_and_not_in_the_median():
    settings = Latency(num_requests=50, warmup_requests=0)
    profile = measure(Work(slow=(20,)), batch_size=1, settings=settings)
    assert int(np.argmax(profile.samples_ms)) == 20
    assert profile.p99_ms > 5 * profile.p50_ms


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch_sizes", ()),
        ("batch_sizes", (1, 1)),
        ("batch_sizes", (0,)),
        ("num_requests", 0),
        ("warmup_requests", -1),
        ("max_seconds", 0.0),
    ],
)
def test_settings_that_cannot_be_measured_are_refused(field: str, value: object):
    with pytest.raises(ValueError, match=f"^{field}: must .*; received .*; "):
        Latency(**{field: value})


def test_the_child_measures_itself_and_imports_only_what_serves(
    word_model: Servable, log: Recorder
):
    settings = Latency(batch_sizes=(3, 1), num_requests=12, warmup_requests=1)
    # A parent that holds much memory must not pass for a child that does.
    ballast = np.ones(1_500_000_000, np.uint8)
    path = Path(word_model.uri) / word_model.saved_model_dir
    costs = measure_in_child(path, [("good",), ("bad é",)], settings=settings, log=log)
    assert ballast[-1] == 1

    assert [(p.batch_size, p.num_requests) for p in costs.profiles] == [(3, 12), (1, 12)]
    assert all(0 < p.p50_ms <= p.p90_ms <= p.p99_ms for p in costs.profiles)
    assert [p.tokenizer_p50_ms for p in costs.profiles] == [None, None], "it has no token ids"
    assert costs.cold_start_s > 0 and costs.import_s > 0
    assert 100e6 < costs.peak_memory_bytes < 1400e6
    assert costs.measured_on.startswith(processor()) and " core" in costs.measured_on
    assert log.tasks == {"latency, batches of 3": 1.0, "latency, batches of 1": 1.0}

    ours = {name for name in costs.modules if name.startswith("tpuline.components.")}
    assert ours == {
        "tpuline.components.contracts",
        "tpuline.components.evaluate",
        "tpuline.components.evaluate.latency",
        "tpuline.components.example_spec",
        "tpuline.components.load_records",
        "tpuline.components.measured",
        "tpuline.components.modeling",
        "tpuline.components.serving",
        "tpuline.components.serving.answering",
        "tpuline.components.serving.memory",
        "tpuline.components.serving.plain_texts",
    }
    assert not {"keras_hub", "apache_beam", "tensorflow_datasets"} & set(costs.modules)


def test_a_child_that_fails_says_why(tmp_path: Path, log: Recorder):
    settings = Latency(batch_sizes=(1,), num_requests=1, warmup_requests=0)
    with pytest.raises(RuntimeError, match=r"exit code 1(.|\n)*must hold one of saved_model.pb"):
        measure_in_child(tmp_path, [("good",)], settings=settings, log=log)
