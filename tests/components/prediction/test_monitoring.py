"""What is said of an entity is told once its window is over, and told anew for what comes late."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.testing import test_stream
from apache_beam.transforms.window import TimestampedValue

from tpuline.components.prediction.events import MonitorConfig
from tpuline.components.prediction.monitoring import Monitor, WindowSummary
from tpuline.components.reading.rows import Reject

CONFIG = MonitorConfig(window_s=60.0, allowed_lateness_s=120.0)


def said(entity: str, text: str, time_s: float) -> Any:
    """One event of a stream, at the time that it tells of."""
    line = json.dumps({"entity": entity, "text": text, "time": time_s}).encode()
    return TimestampedValue(("stream", 0, line), time_s)


class Keep(beam.DoFn):
    """Appends to a list that the test holds: Beam copies functions, never modules."""

    kept: dict[str, list[Any]] = {}

    def __init__(self, name: str) -> None:
        self._name = name

    def process(self, element: Any) -> None:
        Keep.kept.setdefault(self._name, []).append(element)


def monitored(
    model: Path, stream: test_stream.TestStream
) -> tuple[list[WindowSummary], list[Reject], dict[str, int]]:
    """Everything told, in the order of telling, and the counters."""
    Keep.kept.clear()
    options = PipelineOptions([])
    options.view_as(StandardOptions).streaming = True
    pipeline = beam.Pipeline(runner=BundleBasedDirectRunner(), options=options)
    told = pipeline | stream | Monitor(str(model), CONFIG)
    for name in ("windows", "rejects"):
        _ = told[name] | f"Keep {name}" >> beam.ParDo(Keep(name))
    result = pipeline.run()
    result.wait_until_finish()
    counters = {
        counter.key.metric.name: counter.committed
        for counter in result.metrics().query()["counters"]
        if counter.key.metric.namespace == "tpuline_monitor"
    }
    return Keep.kept.get("windows", []), Keep.kept.get("rejects", []), counters


def brief(summaries: Iterable[WindowSummary]) -> list[tuple[str, str, int, str, int]]:
    return [(w.entity, w.start[11:19], w.num_events, w.timing, w.revision) for w in summaries]


def test_window_is_told_when_time_has_passed_its_end(word_model: Path) -> None:
    stream = (
        test_stream.TestStream()
        .advance_watermark_to(0)
        .add_elements([said("acme", "good", 10), said("acme", "bad", 20), said("acme", "good", 30)])
        .add_elements([said("zeta", "bad", 50), said("acme", "bad", 70)])
        .advance_watermark_to(65)
        .advance_watermark_to_infinity()
    )
    windows, rejects, _ = monitored(word_model, stream)
    assert sorted(brief(windows)) == [
        ("acme", "00:00:00", 3, "on_time", 0),
        ("acme", "00:01:00", 1, "on_time", 0),
        ("zeta", "00:00:00", 1, "on_time", 0),
    ]
    first = next(w for w in windows if w.entity == "acme" and w.num_events == 3)
    assert first.end == "1970-01-01T00:01:00+00:00"
    assert first.label_shares == pytest.approx({"negative": 1 / 3, "positive": 2 / 3})
    good, bad = 0.6 + 0.39 * 5 / 45, 1 - (0.6 + 0.39 * 4 / 44)  # as the model has it
    assert first.mean_probabilities["positive"] == pytest.approx((2 * good + bad) / 3)
    assert sum(first.mean_probabilities.values()) == pytest.approx(1.0)
    assert windows[-1].start.endswith("00:01:00+00:00")  # the later window was told later
    assert not rejects


def test_late_event_has_its_window_told_anew_and_one_too_late_does_not(word_model: Path) -> None:
    stream = (
        test_stream.TestStream()
        .advance_watermark_to(0)
        .add_elements([said("acme", "good", 10)])
        .advance_watermark_to(100)
        .add_elements([said("acme", "bad", 20)])
        .advance_watermark_to(150)
        .add_elements([said("acme", "bad", 30)])
        .advance_watermark_to(200)
        .add_elements([said("acme", "bad", 40)])
        .advance_watermark_to_infinity()
    )
    windows, _, _ = monitored(word_model, stream)
    assert brief(windows) == [
        ("acme", "00:00:00", 1, "on_time", 0),
        ("acme", "00:00:00", 2, "late", 1),
        ("acme", "00:00:00", 3, "late", 2),
    ]
    assert [w.label_shares.get("positive") for w in windows] == pytest.approx([1, 1 / 2, 1 / 3])


def test_bad_events_are_set_aside_and_counted(word_model: Path) -> None:
    stream = (
        test_stream.TestStream()
        .advance_watermark_to(0)
        .add_elements(
            [
                said("acme", "good", 10),
                said("acme", "poison", 20),
                TimestampedValue(("stream", 0, b"{"), 20),
                TimestampedValue(("stream", 0, b"[]"), 20),
                said("", "good", 30),
                said("acme", "bad", 40),
            ]
        )
        .advance_watermark_to_infinity()
    )
    windows, rejects, counters = monitored(word_model, stream)
    assert brief(windows) == [("acme", "00:00:00", 2, "on_time", 0)]
    counted = {"malformed_json": 2, "missing_entity": 1, "model_failed": 1}
    reasons = [row.reason for row in rejects]
    assert {reason: reasons.count(reason) for reason in sorted(reasons)} == counted
    assert counters == counted
