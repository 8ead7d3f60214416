"""How far time is in a stream of events, by the events and, when there are none, by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable

from .events import Event, MonitorConfig


class Watermark:
    """No event before it is expected any more. Never goes back."""

    def __init__(self, config: MonitorConfig, *, now: Callable[[], float] = time.time) -> None:
        self._config, self._now = config, now
        self._heard = now()  # when there was last an event
        self.time_s = 0.0

    def saw(self, event: Event) -> None:
        """Time is as far as the latest event, less what may be out of order."""
        self._heard = self._now()
        self._advance(event.time_s)

    def look(self) -> float:
        """Where it is now, seconds since 1970. In silence, time passes by the clock."""
        idle_s = self._config.idle_s
        if idle_s is not None and self._now() - self._heard >= idle_s:
            self._advance(self._now())
        return self.time_s

    def is_too_late(self, event: Event) -> bool:
        """Whether the window of an event has been told for the last time."""
        window_s = self._config.window_s
        end = (event.time_s // window_s + 1) * window_s
        return end + self._config.allowed_lateness_s <= self.time_s

    def _advance(self, to: float) -> None:
        self.time_s = max(self.time_s, to - self._config.disorder_s)
