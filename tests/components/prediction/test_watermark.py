"""Time goes by the events, and in silence by the clock; never back."""

from __future__ import annotations

from tpuline.components.prediction.events import Event, MonitorConfig
from tpuline.components.prediction.watermark import Watermark


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def event(time_s: float, file: str = "a.jsonl") -> Event:
    return Event(file=file, row=0, entity="a", text="b", time_s=time_s)


def test_time_is_behind_the_latest_event_by_what_may_be_out_of_order() -> None:
    watermark = Watermark(MonitorConfig(disorder_s=10.0), now=Clock())
    for time_s in (100.0, 200.0, 150.0):
        watermark.saw(event(time_s))
    assert watermark.looked() == 190.0


def test_time_waits_for_the_file_of_which_more_is_there() -> None:
    clock = Clock()
    watermark = Watermark(MonitorConfig(disorder_s=10.0, idle_s=60.0), now=clock)
    watermark.saw(event(900.0, "a.jsonl"))
    assert watermark.looked(["b.jsonl"]) == 0.0
    watermark.saw(event(100.0, "b.jsonl"))
    watermark.saw(event(500.0, "c.jsonl"))
    clock.now += 1000
    assert watermark.looked(["c.jsonl", "b.jsonl"]) == 90.0
    assert watermark.looked(["c.jsonl"]) == 490.0
    watermark.saw(event(300.0, "b.jsonl"))
    assert watermark.looked() == 890.0


def test_time_passes_by_the_clock_only_in_silence() -> None:
    clock = Clock()
    watermark = Watermark(MonitorConfig(disorder_s=10.0, idle_s=60.0), now=clock)
    watermark.saw(event(900.0))
    clock.now += 59
    assert watermark.looked() == 890.0
    clock.now += 1
    assert watermark.looked() == clock.now - 10
    watermark.saw(event(950.0))
    assert watermark.looked() == clock.now - 10


def test_time_can_be_left_to_the_events_alone() -> None:
    clock = Clock()
    watermark = Watermark(MonitorConfig(idle_s=None), now=clock)
    clock.now += 1e6
    assert watermark.looked() == 0.0


def test_event_is_too_late_when_its_window_and_the_lateness_are_over() -> None:
    config = MonitorConfig(window_s=60.0, allowed_lateness_s=30.0, disorder_s=0.0)
    watermark = Watermark(config, now=Clock())
    watermark.saw(event(89.0))
    watermark.looked()
    assert not watermark.is_too_late(event(0.0))
    watermark.saw(event(90.0))
    assert not watermark.is_too_late(event(0.0))
    watermark.looked()
    assert watermark.is_too_late(event(59.9))
    assert not watermark.is_too_late(event(60.0))
