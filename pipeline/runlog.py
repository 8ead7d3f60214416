"""What a run tells: one human line an event on stderr, the same as JSON lines in a file."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

SPARSE_S = 15.0
"""Seconds between two plain progress lines of one task where no terminal is."""


class RunLog:
    """Fulfils `components.stage.Log`. Use it as a context manager, so that the bar is put away."""

    def __init__(
        self, *, console: Console | None = None, events: Path | None = None, quiet: bool = False
    ) -> None:
        self.console = console or Console(stderr=True, quiet=quiet, highlight=False)
        self.warnings: list[str] = []
        self._events = events
        self._file: TextIO | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last_line: dict[str, tuple[float, float]] = {}  # task -> (when, completed)
        self._bar: Progress | None = None
        self._libraries = _LibraryLog(self)

    def __enter__(self) -> RunLog:
        logging.getLogger().addHandler(self._libraries)
        if self._events is not None:
            self._events.parent.mkdir(parents=True, exist_ok=True)
            # Appended, and a line is one write: two runs of one name do not tear each other's.
            self._file = self._events.open("a", encoding="utf-8", buffering=1)
        if self.console.is_terminal:
            self._bar = Progress(
                TextColumn("  {task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("[dim]{task.fields[note]}"),
                console=self.console,
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self._libraries)
        self.end_tasks()
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def info(self, message: str, **facts: Any) -> None:
        """One line; `facts` go to the event file only."""
        self.event("info", message, **facts)
        self.console.print(escape(message), soft_wrap=True)

    def warning(self, message: str, **facts: Any) -> None:
        """A line that stands out and is repeated in the report."""
        self.warnings.append(message)
        self.event("warning", message, **facts)
        self.console.print(f"[yellow]warning:[/] {escape(message)}", soft_wrap=True)

    def progress(self, task: str, completed: float, total: float | None, note: str = "") -> None:
        """A bar on a terminal; elsewhere a line now and then, also in the event file."""
        if self._bar is not None:
            if task not in self._tasks:
                self._tasks[task] = self._bar.add_task(escape(task), total=total, note="")
            self._bar.update(self._tasks[task], completed=completed, total=total, note=escape(note))
            return
        when, _ = self._last_line.setdefault(task, (time.monotonic(), -1.0))
        if time.monotonic() - when < SPARSE_S:
            return
        self._last_line[task] = (time.monotonic(), completed)
        of = f" of {total:,.0f}" if total else ""
        self.event("progress", task, completed=completed, total=total, note=note)
        self.console.print(escape(f"  {task}: {completed:,.0f}{of}  {note}".rstrip()))

    def end_tasks(self) -> None:
        """Puts the bars of a finished stage away."""
        if self._bar is not None:
            for task in self._tasks.values():
                self._bar.remove_task(task)
        self._tasks.clear()
        self._last_line.clear()

    def from_library(self, record: logging.LogRecord) -> None:
        """What a library logs: warnings into the event file, errors before people, too."""
        message = f"{record.name}: {record.getMessage()}"
        self.event("library", message, level=record.levelname)
        if record.levelno >= logging.ERROR:
            self.console.print(escape(message), soft_wrap=True)

    def event(self, kind: str, message: str, **facts: Any) -> None:
        """One line of the event file, nothing for people."""
        if self._file is None:
            return
        event = {"time": time.time(), "pid": os.getpid(), "kind": kind, "message": message}
        try:
            self._file.write(json.dumps(event | facts, default=str) + "\n")
        except OSError as error:  # a full disk: the log must not hide what goes wrong because of it
            self._file = None
            self.warning(f"{self._events}: no more events are written: {error}")


class _LibraryLog(logging.Handler):
    """Hands what libraries log to a RunLog; without a handler it would go to the terminal."""

    def __init__(self, log: RunLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.from_library(record)
