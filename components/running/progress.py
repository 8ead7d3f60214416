"""How far the workers are, and what they have to say, wherever they run.

Workers cannot carry a log: Beam pickles them. In the process of the stage the log listens here. In
other processes of the machine each keeps a small file in a folder that the stage looks into; on
other machines nobody listens, and telling costs nothing.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..stage import Log

INTERVAL_S = 0.5

_log: Log | None = None
_folder: Path | None = None
_written = 0.0
_tasks: dict[str, tuple[int, int | None, str]] = {}
_sayings: list[str] = []


@contextmanager
def listening(log: Log, folder: Path) -> Iterator[None]:
    """Passes on what is told inside the block, in this process or through files in `folder`."""
    global _log
    folder.mkdir(parents=True, exist_ok=True)
    _reset()
    _log = log
    done = threading.Event()
    ear = threading.Thread(target=_listen, args=(log, folder, done), daemon=True)
    ear.start()
    try:
        yield
    finally:
        _log = None
        done.set()
        ear.join()


def speak_in(folder: str) -> None:
    """Where this process leaves what it tells; for a worker to call when it is set up."""
    global _folder
    if _log is None and _folder != Path(folder):
        _reset()
        _folder = Path(folder) if Path(folder).is_dir() else None


def tell(task: str, done: int, total: int | None = None, note: str = "") -> None:
    """`done` more of `task`."""
    count = _tasks[task][0] + done if task in _tasks else done
    _tasks[task] = (count, total, note)
    if _log is not None:
        _log.progress(task, count, total, note)
    elif _folder is not None and time.monotonic() - _written > INTERVAL_S:
        _write(_folder)


def say(message: str) -> None:
    """One line for people."""
    _sayings.append(message)
    if _log is not None:
        _log.info(message)
    elif _folder is not None:
        _write(_folder)


def finish() -> None:
    """Leaves what was told last; for a worker to call when a piece of work ends."""
    if _log is None and _folder is not None:
        _write(_folder)


def _reset() -> None:
    global _folder, _written
    _folder, _written = None, 0.0
    _tasks.clear()
    _sayings.clear()


def _write(folder: Path) -> None:
    """The folder may be gone when the run has ended: then nobody listens any more."""
    global _written
    _written = time.monotonic()
    draft = folder / f".{os.getpid()}-{threading.get_ident()}"  # a worker may have many threads
    with suppress(OSError):
        draft.write_text(json.dumps([_tasks, _sayings]), encoding="utf-8")
        os.replace(draft, folder / f"{os.getpid()}.json")


def _listen(log: Log, folder: Path, done: threading.Event) -> None:
    heard: Counter[str] = Counter()
    while True:
        last = done.wait(INTERVAL_S)
        totals: dict[str, tuple[int, int | None, str]] = {}
        for path in sorted(folder.glob("*.json")):
            try:
                tasks, sayings = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:  # of a worker that was cut off: it is no reason to hear no others
                continue
            for task, (count, total, note) in tasks.items():
                totals[task] = (totals.get(task, (0,))[0] + count, total, note)
            for message in sayings[heard[path.name] :]:
                log.info(message)
            heard[path.name] = len(sayings)
        for task, (count, total, note) in totals.items():
            log.progress(task, count, total, note)
        if last:
            return
