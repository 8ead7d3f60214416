"""A folder is followed: windows come out while it grows."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.components.running.quiet_log import QuietLog
from tpuline.components.prediction import growing
from tpuline.components.prediction.events import MonitorConfig
from tpuline.components.prediction.following import Followed, follow

CONFIG = MonitorConfig(
    window_s=60.0, allowed_lateness_s=100.0, disorder_s=0.0, idle_s=None, poll_s=0.05
)


def event(text: str, time_s: float, entity: str = "acme") -> bytes:
    return json.dumps({"entity": entity, "text": text, "time": time_s}).encode() + b"\n"


def append(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        file.write(b"".join(lines))


@contextmanager
def following(model: Path, folder: Path) -> Iterator[tuple[Future[Followed], threading.Event]]:
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(
            follow, str(model), "*.jsonl", str(folder / "out"), CONFIG,
            data_dir=folder, log=QuietLog(), stop=stop,
        )  # fmt: skip
        try:
            yield ended, stop
        finally:
            stop.set()


def wait_for(what: Callable[[], bool], ended: Future[Followed]) -> None:
    """Until it is so, or following has ended; the test's own timeout is the limit."""
    while not what():
        if ended.done():
            raise AssertionError(f"following ended: {ended.exception()}")
        time.sleep(0.05)


def told(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_windows_come_out_while_the_folder_grows(word_model: Path, tmp_path: Path) -> None:
    windows, rejects = tmp_path / "out/windows.jsonl", tmp_path / "out/rejects.jsonl"
    log = tmp_path / "a.jsonl"
    append(log, event("good", 10), event("bad", 20), b"{not json\n", event("poison", 30))
    with following(word_model, tmp_path) as (ended, stop):
        append(log, event("good", 65))
        wait_for(lambda: len(told(windows)) == 1, ended)
        (first,) = told(windows)
        assert (first["entity"], first["num_events"], first["timing"]) == ("acme", 2, "on_time")
        assert first["label_shares"] == {"negative": 0.5, "positive": 0.5}
        append(tmp_path / "b.jsonl", event("good", 40))
        wait_for(lambda: len(told(windows)) == 2, ended)
        again = told(windows)[1]
        assert (again["start"], again["num_events"]) == (first["start"], 3)
        assert (again["timing"], again["revision"]) == ("late", 1)
        append(log, event("good", 170))
        wait_for(lambda: len(told(windows)) == 3, ended)
        append(log, event("good", 50))  # the first window ended 110 s ago
        wait_for(lambda: "too_late" in str(told(rejects)), ended)
        stop.set()
        followed = ended.result()
    assert followed.num_lines == 8
    assert followed.rejected == {"malformed_json": 1, "model_failed": 1, "too_late": 1}
    assert sorted(row["reason"] for row in told(rejects)) == sorted(followed.rejected)
    last = [(w["start"][11:19], w["num_events"], w["timing"]) for w in told(windows)[2:]]
    assert sorted(last) == [("00:01:00", 1, "on_time"), ("00:02:00", 1, "on_time")]


def test_last_line_without_its_end_is_an_event_or_a_reject(
    word_model: Path, tmp_path: Path
) -> None:
    cut = event("good", 20)
    append(tmp_path / "a.jsonl", event("good", 10), cut.rstrip())
    append(tmp_path / "b.jsonl", event("bad", 15), cut[:-5])
    append(tmp_path / "c.jsonl", b"{}")
    with following(word_model, tmp_path) as (ended, stop):
        stop.set()
        followed = ended.result()
    (window,) = told(tmp_path / "out/windows.jsonl")
    assert window["num_events"] == 3
    rejects = told(tmp_path / "out/rejects.jsonl")
    assert sorted((Path(row["file"]).name, row["row"], row["reason"]) for row in rejects) == [
        ("b.jsonl", 2, "cut_off"), ("c.jsonl", 1, "missing_column")
    ]  # fmt: skip
    assert followed.num_lines == 5
    assert followed.rejected == {"cut_off": 1, "missing_column": 1}


def test_rejects_of_every_look_are_counted(word_model: Path, tmp_path: Path) -> None:
    rejects = tmp_path / "out/rejects.jsonl"
    with following(word_model, tmp_path) as (ended, stop):
        for number in (1, 2, 3):
            append(tmp_path / "a.jsonl", b"{}\n")
            wait_for(lambda number=number: len(told(rejects)) == number, ended)
        stop.set()
        followed = ended.result()
    assert (followed.num_lines, followed.rejected) == (3, {"missing_column": 3})


def by_window(path: Path) -> dict[str, tuple[int, int]]:
    """Start -> events and revision of its last telling."""
    found = {w["start"][11:16]: (w["num_events"], w["revision"]) for w in told(path)}
    return dict(sorted(found.items()))


def test_backlog_of_one_file_makes_no_event_of_another_late(
    word_model: Path, tmp_path: Path
) -> None:
    append(tmp_path / "a.jsonl", *(event("good", 3600 + 60 * minute) for minute in range(5)))
    append(tmp_path / "b.jsonl", *(event("bad", 60 * minute) for minute in range(5)))
    with following(word_model, tmp_path) as (ended, stop):
        stop.set()
        followed = ended.result()
    assert followed.rejected == {}
    starts = [f"{hour:02}:{minute:02}" for hour in (0, 1) for minute in range(5)]
    assert by_window(tmp_path / "out/windows.jsonl") == dict.fromkeys(starts, (1, 0))


def test_backlog_larger_than_a_look_is_waited_for(
    word_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = [event("good", 60 * minute) for minute in range(20)]
    monkeypatch.setattr(growing, "READ_BYTES", 3 * len(minutes[-1]))
    append(tmp_path / "a.jsonl", minutes[-1])
    append(tmp_path / "b.jsonl", *minutes)
    with following(word_model, tmp_path) as (ended, stop):
        stop.set()
        followed = ended.result()
    assert followed.rejected == {}
    starts = [f"00:{minute:02}" for minute in range(20)]
    windows = tmp_path / "out/windows.jsonl"
    assert by_window(windows) == {start: (1 + (start == "00:19"), 0) for start in starts}
    assert told(windows)[0]["start"][11:16] in ("00:00", "00:01")  # not only when all was read


def test_file_that_becomes_shorter_ends_it_with_an_error(word_model: Path, tmp_path: Path) -> None:
    log = tmp_path / "a.jsonl"
    append(log, event("good", 10), event("good", 100))
    with following(word_model, tmp_path) as (ended, _):
        wait_for(lambda: bool(told(tmp_path / "out/windows.jsonl")), ended)
        log.write_bytes(b"")
        with pytest.raises(ValueError, match=r"^--input: files that are followed must only grow"):
            ended.result()


def test_folder_that_is_not_new_is_refused(word_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^--output: must be a new folder when files are"):
        follow(
            str(word_model), "*.jsonl", str(tmp_path.parent), CONFIG,
            log=QuietLog(), stop=threading.Event(),
        )  # fmt: skip
