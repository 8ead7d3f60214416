"""What a run tells: sparse lines where no terminal is, every event in the file."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from tpuline.pipeline import runlog


def plain() -> tuple[Console, io.StringIO]:
    """A console that is no terminal, and what it printed."""
    out = io.StringIO()
    return Console(file=out, width=100), out


def test_events_are_json_lines_and_human_lines(tmp_path: Path) -> None:
    console, out = plain()
    with runlog.RunLog(console=console, events=tmp_path / "a" / "events.jsonl") as log:
        log.info("train: running [abc]", stage="train")
        log.warning("look here")
    written = (tmp_path / "a" / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in written]
    assert [(e["kind"], e["message"]) for e in events] == [
        ("info", "train: running [abc]"),
        ("warning", "look here"),
    ]
    assert events[0]["stage"] == "train"
    assert "train: running [abc]" in out.getvalue()  # brackets are text, not markup
    assert log.warnings == ["look here"]


def test_progress_without_a_terminal_is_sparse(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(runlog.time, "monotonic", lambda: clock[0])
    console, out = plain()
    with runlog.RunLog(console=console) as log:
        for step in range(600):
            clock[0] += 0.1
            log.progress("train", step, 600, note="loss 0.5")
    lines = out.getvalue().splitlines()
    assert 2 <= len(lines) <= 5  # one in 15 s over 60 s
    assert "of 600" in lines[0] and "loss 0.5" in lines[0]


def test_progress_on_a_terminal_is_a_bar_that_is_put_away() -> None:
    out = io.StringIO()
    with runlog.RunLog(console=Console(file=out, force_terminal=True, width=100)) as log:
        log.progress("train", 1, 10, note="[odd note")
        log.end_tasks()
        log.info("train: done")
    assert "train" in out.getvalue()
    assert "train: done" in out.getvalue()
