"""Children that do one piece of work: waited for, listened to, told of when they fail."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.components.evaluate.conftest import Recorder
from tpuline.components.child_process import ask_child, run_child

ECHO = """
import json, sys
request = json.load(sys.stdin)
print("heard", flush=True)
if request["fail"]:
    sys.exit("it went wrong")
with open(request["result_file"], "w") as file:
    json.dump({"answer": request["question"] * 2}, file)
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "echoing.py").write_text(ECHO)
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def test_child_answers_in_json_and_is_heard_meanwhile(environ: dict[str, str]) -> None:
    lines: list[str] = []
    answer = ask_child(
        "echoing", {"question": 21, "fail": False}, task="echo", on_line=lines.append,
        environ=environ,
    )  # fmt: skip
    assert answer == {"answer": 42} and lines == ["heard\n"]


def test_child_that_fails_is_told_with_the_end_of_its_output(environ: dict[str, str]) -> None:
    with pytest.raises(RuntimeError, match=r"^echo: .* exit code 1(.|\n)*it went wrong"):
        ask_child("echoing", {"fail": True}, task="echo", on_line=lambda _: None, environ=environ)


def test_child_that_is_not_done_in_time_is_ended(tmp_path: Path) -> None:
    (tmp_path / "sleeping.py").write_text("import time\nprint('up', flush=True)\ntime.sleep(300)")
    lines: list[str] = []
    with pytest.raises(RuntimeError, match=r"^sleep: not done after 3 s, and ended$"):
        ask_child(
            "sleeping", {}, task="sleep", on_line=lines.append, timeout_s=3,
            environ={**os.environ, "PYTHONPATH": str(tmp_path)},
        )  # fmt: skip
    assert lines == ["up\n"]


def test_child_that_is_killed_is_said_to_be() -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(RuntimeError, match=r"^work: .* exit code -9 \(killed, as by a system"):
        run_child([sys.executable, "-c", program], task="work", log=Recorder())
