"""A line is an event, or it is told what is wrong with it."""

from __future__ import annotations

import json

import pytest

from tpuline.components.prediction.events import Event, MonitorConfig, parse_event
from tpuline.components.reading.rows import Reject

NOON = 1_700_000_000.0
CONFIG = MonitorConfig(max_line_bytes=1000)


def parsed(content: object) -> Event | Reject:
    line = content if isinstance(content, bytes) else json.dumps(content).encode()
    return parse_event(("log.jsonl", 7, line), CONFIG, now=lambda: NOON)


def test_line_with_all_three_is_an_event() -> None:
    event = parsed({"entity": " Acme ", "text": "fine", "time": 1_600_000_000})
    assert event == Event(
        file="log.jsonl", row=7, entity="Acme", text="fine", time_s=1_600_000_000.0
    )


@pytest.mark.parametrize("time", ["2020-09-13T12:26:40Z", "2020-09-13T14:26:40+02:00"])
def test_time_may_be_written_for_people(time: str) -> None:
    event = parsed({"entity": 5, "text": "fine", "time": time})
    assert isinstance(event, Event)
    assert (event.entity, event.time_s) == ("5", 1_600_000_000.0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "malformed_json"),
        ([], "malformed_json"),
        ({"text": "fine", "time": 1}, "missing_column"),
        ({"entity": "a", "time": 1}, "missing_column"),
        ({"entity": "a", "text": "fine"}, "missing_column"),
        ({"entity": None, "text": "fine", "time": 1}, "missing_entity"),
        ({"entity": "a", "text": None, "time": 1}, "empty_text"),
        ({"entity": "a", "text": 3, "time": 1}, "wrong_type"),
        (b'{"entity": "a", "text": "caf\xe9", "time": 1}', "undecodable"),
        ({"entity": "a", "text": "x" * 1000, "time": 1}, "line_too_long"),
        ({"entity": "a", "text": "fine", "time": "2020-09-13T12:26:40"}, "bad_time"),
        ({"entity": "a", "text": "fine", "time": "yesterday"}, "bad_time"),
        ({"entity": "a", "text": "fine", "time": True}, "bad_time"),
        ({"entity": "a", "text": "fine", "time": 10**400}, "bad_time"),
        ({"entity": "a", "text": "fine", "time": NOON + 3600}, "bad_time"),
        (b'{"entity": "a", "text": "fine", "time": NaN}', "bad_time"),
    ],
)
def test_line_that_is_no_event_is_told_why(content: object, reason: str) -> None:
    found = parsed(content)
    assert isinstance(found, Reject)
    assert (found.file, found.row, found.reason) == ("log.jsonl", 7, reason)


@pytest.mark.parametrize(
    "settings", [{"window_s": 0.0}, {"poll_s": 60.0}, {"idle_s": -1.0}, {"batch_rows": 0}]
)
def test_setting_that_cannot_be_is_refused(settings: dict[str, float]) -> None:
    (name,) = settings
    with pytest.raises(ValueError, match=rf"^{name}: must be .*; received"):
        MonitorConfig(**settings)  # type: ignore[arg-type]
