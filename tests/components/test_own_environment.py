"""Folders of packages: made once, whole or not at all."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from tests.components.evaluate.conftest import Recorder
from tpuline.components.own_environment import READY, answer_of, make_once


def test_folder_is_made_by_one_and_waited_for_by_the_others(tmp_path: Path) -> None:
    folder, log, made = tmp_path / "packages", Recorder(), list[int]()

    def make() -> None:
        made.append(1)
        folder.mkdir()

    def ask() -> None:
        make_once(folder, make, announce="making it", what="x", log=log)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1] and log.infos == ["making it"] and (folder / READY).exists()


def test_folder_that_cannot_be_made_is_left_out_and_made_the_next_time(tmp_path: Path) -> None:
    folder, log = tmp_path / "packages", Recorder()

    def fail() -> None:
        folder.mkdir()
        (folder / "half").touch()
        raise RuntimeError("no such package")

    words = r"^triton: x must be made in .*; no such package; connect to a package index, or wait$"
    with pytest.raises(RuntimeError, match=words):
        make_once(folder, fail, announce="", what="triton: x", remedy=", or wait", log=log)
    assert not folder.exists()
    make_once(folder, folder.mkdir, announce="", what="triton: x", log=log)
    assert (folder / READY).exists()


def test_another_python_answers_or_is_told_with_its_last_words() -> None:
    assert answer_of(Path(sys.executable), "print(6 * 7)") == "42\n"
    with pytest.raises(RuntimeError, match="ModuleNotFoundError: No module named 'nowhere'"):
        answer_of(Path(sys.executable), "import nowhere")
