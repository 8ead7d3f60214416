"""A sign of life of the chief, for the workers that wait for what it makes alone.

While it runs, a file beside its report changes every few seconds. Those who wait look only whether
it changes, and by their own clock: the machines' clocks may differ.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ..components import files

NAME = "chief.alive"
BEAT_EVERY_S = 10.0
LOST_AFTER_S = 180.0
"""Without a change for so long the chief is taken for lost; one upload takes far less."""


@contextmanager
def beating(place: str) -> Iterator[None]:
    """The chief's part: `<place>/chief.alive` changes until the block ends, however it ends."""
    file, over = files.join(place, NAME), threading.Event()

    def beat() -> None:
        count = 0
        while not over.is_set():
            count += 1
            with suppress(
                Exception
            ):  # whatever a bucket's bad moment is: the next beat tries again
                files.write_bytes(file, b"%d\n" % count)
            over.wait(BEAT_EVERY_S)

    heart = threading.Thread(target=beat, name="pulse", daemon=True)
    heart.start()
    try:
        yield
    finally:
        over.set()
        heart.join()
        with suppress(Exception):
            files.remove(file)


class Listener:
    """The others' part."""

    def __init__(self, place: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = files.join(place, NAME), clock
        self._heard: bytes | None = None
        self._since = clock()

    def check(self) -> None:
        """To be called again and again.

        Raises:
            RuntimeError: the chief has given no sign of life for `LOST_AFTER_S`.
        """
        try:
            beat: bytes | None = files.read_bytes(self._file)
        except FileNotFoundError:
            beat = None  # it has not begun, or has just ended
        except OSError:
            beat = self._heard  # not to be read just now, and so not heard
        now = self._clock()
        if beat != self._heard:
            self._heard, self._since = beat, now
        elif now - self._since > LOST_AFTER_S:
            raise RuntimeError(
                f"the chief has given no sign of life for {LOST_AFTER_S:.0f} s: it was killed, "
                "cannot write under --root, or was started with another one; start all workers "
                "again, and what is done is reused"
            )
