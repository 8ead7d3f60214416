"""What workers tell reaches the log, whatever else happens to the files that carry it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tpuline.components.running import progress

from ..preprocess.stage_runs import Log


@pytest.fixture
def speaking(tmp_path: Path) -> Iterator[Path]:
    """The folder that this process speaks in."""
    progress.speak_in(str(tmp_path))
    yield tmp_path
    progress._reset()


def test_what_several_workers_tell_is_added_up(tmp_path: Path) -> None:
    log = Log()
    with progress.listening(log, tmp_path):
        for number in (1, 2):
            told = [{"reading": [5 * number, None, ""]}, [f"worker {number}"]]
            (tmp_path / f"{number}.json").write_text(json.dumps(told))
    assert log.tasks == {"reading": 15}
    assert log.infos == ["worker 1", "worker 2"]


def test_file_cut_off_midway_keeps_nobody_from_being_heard(tmp_path: Path) -> None:
    log = Log()
    with progress.listening(log, tmp_path):
        (tmp_path / "1.json").write_text('[{"rea')
        (tmp_path / "2.json").write_text(json.dumps([{"reading": [5, None, ""]}, ["hello"]]))
    assert (log.tasks, log.infos) == ({"reading": 5}, ["hello"])


def test_threads_of_a_worker_do_not_write_over_each_others_drafts(speaking: Path) -> None:
    (speaking / f"{os.getpid()}.json").mkdir()  # then drafts stay drafts
    both = threading.Barrier(2)

    def speak() -> None:
        progress.say("hello")
        both.wait(30)

    threads = [threading.Thread(target=speak) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(speaking.glob(".*"))) == 2
