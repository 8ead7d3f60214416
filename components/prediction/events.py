"""Lines of JSON -> events: who it is about, what was said, when. Pure."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..reading.rows import Reject, Row, reject, row_of_values

Line = tuple[str, int, bytes]
"""Where it is from, its number there from 1 (0: not known), and one JSON object."""

READ_BYTES = 4_000_000
"""Of one file at one look; no line is longer."""

MAX_AHEAD_S = 60.0
"""A clock that goes wrong must not close the windows of all others: later times are refused."""

MAX_WINDOW_S = 366 * 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class MonitorConfig:
    """What an event looks like, and which of them are summed up together."""

    entity_column: str = "entity"
    text_column: str = "text"
    time_column: str = "time"  # ISO 8601 with a time zone, or seconds since 1970
    window_s: float = 3600.0  # windows start at multiples of it since 1970, UTC
    allowed_lateness_s: float = 86_400.0  # so long after its end a window is told anew
    disorder_s: float = 10.0  # events may come by so much out of order and still be on time
    idle_s: float | None = 60.0  # without events for so long, time passes by the clock; None: never
    poll_s: float = 1.0  # between two looks at the files
    max_line_bytes: int = 1_000_000
    batch_rows: int = 64  # most events of one call of the model

    def __post_init__(self) -> None:
        if not 0 < self.window_s <= MAX_WINDOW_S:
            raise ValueError(
                f"window_s: must be above 0 and at most a year; received {self.window_s}; 3600 "
                "makes one window an hour"
            )
        if not 0 < self.poll_s <= 20:
            raise ValueError(
                f"poll_s: must be above 0 and at most 20; received {self.poll_s}; leave it out to "
                "get 1"
            )
        if not 1 <= self.max_line_bytes <= READ_BYTES:
            raise ValueError(
                f"max_line_bytes: must be from 1 to {READ_BYTES:,}; received "
                f"{self.max_line_bytes}; leave it out to get 1,000,000"
            )
        for name in ("allowed_lateness_s", "disorder_s", "idle_s"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ValueError(
                    f"{name}: must be at least 0 and finite; received {value}; leave it out"
                )
        for name, least in (("max_line_bytes", 1000), ("batch_rows", 1)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name}: must be at least {least}; received {getattr(self, name)}; leave it "
                    "out"
                )


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that was said."""

    file: str
    row: int
    entity: str
    text: str
    time_s: float  # since 1970, UTC


def parse_event(
    line: Line, config: MonitorConfig, *, now: Callable[[], float] = time.time
) -> Event | Reject:
    """The event of a line, or why it is none."""
    file, number, content = line
    if len(content) > config.max_line_bytes:
        detail = "the line is longer than max_line_bytes"
        return reject(file, number, "line_too_long", detail)
    try:
        found = json.loads(content.decode("utf-8", "surrogateescape"))
    # json raises ValueError for integers of thousands of digits, RecursionError for deep nesting.
    except (ValueError, RecursionError) as error:
        return reject(file, number, "malformed_json", f"the line is not JSON: {error}")
    if not isinstance(found, dict):
        return reject(file, number, "malformed_json", "the line is no JSON object")
    for column in (config.entity_column, config.text_column, config.time_column):
        if column not in found:
            return reject(file, number, "missing_column", f"there is no column {column!r}")
    row = row_of_values(
        file,
        number,
        texts={"text": found[config.text_column]},
        label=found[config.entity_column],  # with the same types, it is read as a label is
        max_bytes=config.max_line_bytes,
    )
    if isinstance(row, Reject):
        return _about_entity(row)
    time_s = _seconds(found[config.time_column])
    if time_s is None or not 0 <= time_s <= now() + MAX_AHEAD_S:
        detail = "the time must be ISO 8601 with a zone, or seconds since 1970, and not to come"
        return reject(file, number, "bad_time", f"{detail}; received {found[config.time_column]!r}")
    return _event(row, time_s)


def _event(row: Row, time_s: float) -> Event:
    return Event(file=row.file, row=row.row, entity=row.label, text=row.text, time_s=time_s)


def _about_entity(row: Reject) -> Reject:
    reason = "missing_entity" if row.reason == "missing_label" else row.reason
    return row._replace(reason=reason, detail=row.detail.replace("the label", "the entity"))


def _seconds(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:  # JSON has integers of any length
            return None
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment.timestamp()
