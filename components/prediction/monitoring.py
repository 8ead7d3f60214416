"""Events -> what is said of each entity, by window of time. On any runner of Beam's that streams.

A window is told when the watermark passes its end, and again for whatever comes late, until
`allowed_lateness_s` later. Each telling is of all its events so far (accumulating): the one of the
highest `revision` counts, and takes the place of those before. Events that come later still are
dropped by Beam itself, without a word; `following` tells of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference
from apache_beam.transforms import trigger
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindows,
    TimestampedValue,
)
from apache_beam.utils.windowed_value import PaneInfo, PaneInfoTiming

from ..reading.rows import Reject, reject
from .answers import Answers
from .events import Event, Line, MonitorConfig, parse_event
from .handler import TextHandler
from .model_place import label_names

NAMESPACE = "tpuline_monitor"
_TIMINGS = {PaneInfoTiming.EARLY: "early", PaneInfoTiming.LATE: "late"}


@dataclass(frozen=True, kw_only=True)
class WindowSummary:
    """What was said of one entity in one window, as far as it is known."""

    entity: str
    start: str  # ISO 8601, UTC
    end: str  # the first moment that is no part of it
    num_events: int
    label_shares: dict[str, float]  # of the events, by the label that the model gives them
    mean_probabilities: dict[str, float]  # by label; by its id where the model has no names
    timing: str  # on_time, or late: events came after the window had been told
    revision: int  # from 0; a later one takes the place of those before

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Monitor(beam.PTransform):
    """Lines -> {"windows": of `WindowSummary`, "rejects": of `Reject`}.

    Whatever reads the lines says how far time is (the watermark). Rejects are counted, too: the
    counters of the namespace `tpuline_monitor`, by reason.
    """

    def __init__(self, model_dir: str, config: MonitorConfig) -> None:
        super().__init__()
        self._config = config
        self._names = label_names(model_dir)
        self._handler = TextHandler(
            model_dir, batch_rows=config.batch_rows, max_elements=config.batch_rows
        )

    def expand(self, lines: beam.PCollection) -> dict[str, beam.PCollection]:
        parsed = lines | "Parse" >> beam.ParDo(ParseEvents(self._config)).with_outputs(
            "rejects", main="events"
        )
        answered = (
            parsed.events
            # Before the model: Beam's batches forget the time of an event, but not its window.
            | "Window" >> self._windows()
            | "Text" >> beam.Map(lambda event: (event, ([event.text],)))
            | "Answer" >> RunInference(KeyedModelHandler(self._handler))
            | "Split" >> beam.ParDo(SplitAnswers()).with_outputs("rejects", main="said")
        )
        windows = (
            answered.said
            | "Add up" >> beam.CombinePerKey(AddUp())
            | "Summarise" >> beam.ParDo(Summarise(self._names))
        )
        failed = answered.rejects | "Out of windows" >> beam.WindowInto(GlobalWindows())
        return {"windows": windows, "rejects": (parsed.rejects, failed) | beam.Flatten()}

    def _windows(self) -> beam.WindowInto:
        return beam.WindowInto(
            FixedWindows(self._config.window_s),
            trigger=trigger.AfterWatermark(late=trigger.AfterCount(1)),
            accumulation_mode=trigger.AccumulationMode.ACCUMULATING,
            allowed_lateness=self._config.allowed_lateness_s,
        )


class ParseEvents(beam.DoFn):
    """Line -> Event at its own time; or a reject."""

    def __init__(self, config: MonitorConfig) -> None:
        self._config = config

    def process(self, line: Line) -> Iterator[Any]:
        found = parse_event(line, self._config)
        if isinstance(found, Event):
            yield TimestampedValue(found, found.time_s)
        else:
            yield _set_aside(found)


class SplitAnswers(beam.DoFn):
    """(Event, Answers) -> (entity, `Said`); or a reject, where the model has failed."""

    def process(self, answered: tuple[Event, Answers]) -> Iterator[Any]:
        event, answers = answered
        if answers.failures:
            yield _set_aside(reject(event.file, event.row, "model_failed", answers.failures[0]))
        else:
            said = Said(num_events=1, sums=answers.probabilities[0].astype(np.float64))
            said.labels[answers.labels[0]] += 1
            yield event.entity, said


@dataclass(kw_only=True)
class Said:
    """Sums over events."""

    num_events: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    sums: Any = 0.0  # of probabilities, float64 (C,)


class AddUp(beam.CombineFn):
    """Of any number of `Said`, one."""

    def create_accumulator(self) -> Said:
        return Said()

    def add_input(self, total: Said, one: Said) -> Said:
        return Said(
            num_events=total.num_events + one.num_events,
            labels=total.labels + one.labels,
            sums=total.sums + one.sums,
        )

    def merge_accumulators(self, totals: Iterable[Said]) -> Said:
        merged = Said()
        for total in totals:
            merged = self.add_input(merged, total)
        return merged

    def extract_output(self, total: Said) -> Said:
        return total


class Summarise(beam.DoFn):
    """(entity, Said) -> WindowSummary."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def process(
        self,
        total: tuple[str, Said],
        window: Any = beam.DoFn.WindowParam,
        pane: PaneInfo = beam.DoFn.PaneInfoParam,
    ) -> Iterator[WindowSummary]:
        entity, said = total
        names = self._names or tuple(str(label) for label in range(len(said.sums)))
        means = said.sums / said.num_events
        yield WindowSummary(
            entity=entity,
            start=_iso(window.start),
            end=_iso(window.end),
            num_events=said.num_events,
            label_shares={
                label: count / said.num_events for label, count in sorted(said.labels.items())
            },
            mean_probabilities=dict(zip(names, map(float, means), strict=True)),
            timing=_TIMINGS.get(pane.timing, "on_time"),
            revision=pane.index,
        )


def _iso(moment: Any) -> str:
    return datetime.fromtimestamp(float(moment), UTC).isoformat()


def _set_aside(row: Reject) -> beam.pvalue.TaggedOutput:
    Metrics.counter(NAMESPACE, row.reason).inc()
    return beam.pvalue.TaggedOutput("rejects", row)
