"""How far the workers are, for those that run in the process of the stage.

Workers cannot carry a log: Beam pickles them. So the log listens here; in other processes nobody
does, and telling costs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ..stage import Log

_log: Log | None = None
_done: Counter[str] = Counter()


@contextmanager
def listening(log: Log) -> Iterator[None]:
    """Passes on what is told inside the block."""
    global _log
    _log = log
    _done.clear()
    try:
        yield
    finally:
        _log = None


def tell(task: str, done: int, total: int | None = None, note: str = "") -> None:
    """`done` more of `task`."""
    _done[task] += done
    if _log is not None:
        _log.progress(task, _done[task], total, note)
