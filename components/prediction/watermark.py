"""How far time is in streams of events, by the events and, when there are none, by the clock.

Files are read a piece at a time, and may be of different days: an event is judged by how far time
was before the look that read it, and a file of which more is there holds time back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from .events import Event, MonitorConfig


class Watermark:
    """No event before it is expected any more. Never goes back."""

    def __init__(self, config: MonitorConfig, *, now: Callable[[], float] = time.time) -> None:
        self._config, self._now = config, now
        self._heard = now()  # when there was last an event
        self._latest: dict[str, float] = {}  # event of each file
        self.time_s = 0.0

    def saw(self, event: Event) -> None:
        """It counts when its look is over."""
        self._heard = self._now()
        self._latest[event.file] = max(event.time_s, self._latest.get(event.file, 0.0))

    def looked(self, behind: Collection[str] = ()) -> float:
        """Where time is after a look, seconds since 1970: as far as the latest event, less what may
        be out of order. In silence, it passes by the clock.

        Args:
            behind: files of which more is there. Time goes no further than any of them has.
        """
        idle_s, to = self._config.idle_s, max(self._latest.values(), default=0.0)
        if behind:
            to = min(self._latest.get(file, 0.0) for file in behind)
        elif idle_s is not None and self._now() - self._heard >= idle_s:
            to = max(to, self._now())
        self.time_s = max(self.time_s, to - self._config.disorder_s)
        return self.time_s

    def is_too_late(self, event: Event) -> bool:
        """Whether the window of an event has been told for the last time."""
        window_s = self._config.window_s
        end = (event.time_s // window_s + 1) * window_s
        return end + self._config.allowed_lateness_s <= self.time_s
