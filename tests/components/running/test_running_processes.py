"""Worker processes of this machine: they share the work, and none outlives its run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.components.running import toy_pipeline
from tests.components.running.quiet_log import QuietLog
from tpuline.components.running import runners as running
from tpuline.components.running.config import Running
from tpuline.components.running.processes import threads_per_worker, worker_environment

TWO = Running(runner="processes", num_workers=2)
RUN_AND_SLEEP = """
import sys
from pathlib import Path
from tests.components.running import toy_pipeline
from tests.components.running.quiet_log import QuietLog
from tpuline.components.running import runners
from tpuline.components.running.config import Running
build = toy_pipeline.builder(Path(sys.argv[1]), trouble="sleep")
runners.run(build, Running(runner="processes", num_workers=2), log=QuietLog(), name="toy")
"""


@pytest.fixture(autouse=True)
def _workers_find_the_toy(monkeypatch: pytest.MonkeyPatch, checkout: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(checkout))


def run(folder: Path, *, config: Running = TWO, trouble: str | None = None) -> None:
    build = toy_pipeline.builder(folder, trouble=trouble)
    running.run(build, config, log=QuietLog(), name="toy")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pids: set[int], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not [pid for pid in pids if alive(pid)]


def test_processes_share_the_elements_evenly_and_print_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tpuline", "apache_beam", "components"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('a stranger is imported')\n")
    monkeypatch.chdir(tmp_path)
    run(tmp_path)
    worked = toy_pipeline.result(tmp_path)
    pids = [one.pid for one in worked]
    assert [one.number for one in worked] == list(range(6))
    assert sorted(pids.count(pid) for pid in set(pids)) == [3, 3]
    assert os.getpid() not in pids
    assert not [pid for pid in pids if alive(pid)]
    assert capfd.readouterr() == ("", "")


def test_in_process_leaves_libraries_as_they_are(tmp_path: Path) -> None:
    run(tmp_path, config=Running())
    (environment, *_) = [one.environment for one in toy_pipeline.result(tmp_path)]
    assert environment == {name: os.getenv(name) for name in toy_pipeline.VARIABLES}


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        pytest.param("exception", "the toy's own complaint", marks=pytest.mark.slow),
        ("sigkill", "killed by signal 9; the system kills a process when memory runs out"),
        pytest.param(
            "exit", "exit code 7; the end of its output:\n.*last words", marks=pytest.mark.slow
        ),
    ],
)
def test_worker_that_fails_ends_the_run_with_its_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], trouble: str, told: str
) -> None:
    with pytest.raises(RuntimeError, match=f"(?s){told}"):
        run(tmp_path, trouble=trouble)
    wait_until_gone(toy_pipeline.worker_pids(tmp_path), 0)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(
    tmp_path: Path, end: signal.Signals
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", RUN_AND_SLEEP, str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until = time.monotonic() + 60
        while len(toy_pipeline.worker_pids(tmp_path)) < 2 and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(0.5)  # into the long sleep
        started = toy_pipeline.worker_pids(tmp_path)
        parent.send_signal(end)
        _, errors = parent.communicate(timeout=20)
    finally:
        parent.kill()
    assert len(started) == 2
    wait_until_gone(started)
    if end == signal.SIGINT:
        assert errors.rstrip().endswith("KeyboardInterrupt")
        assert "Exception in thread" not in errors


def test_cores_are_shared_between_the_libraries_of_workers() -> None:
    assert [threads_per_worker(8, workers) for workers in (1, 2, 3, 16)] == [8, 4, 2, 1]
    many = worker_environment(1000, {})
    assert many["TF_NUM_INTRAOP_THREADS"] == many["TF_NUM_INTEROP_THREADS"] == "1"


def test_worker_keeps_the_users_threads_but_takes_no_gpu() -> None:
    given = {"TF_NUM_INTRAOP_THREADS": "3", "CUDA_VISIBLE_DEVICES": "0"}
    made = worker_environment(2, given)
    assert made["TF_NUM_INTRAOP_THREADS"] == "3"
    assert made["CUDA_VISIBLE_DEVICES"] == "-1"
