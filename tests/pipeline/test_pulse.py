"""Workers that wait miss a chief that was killed, and none that lives."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tpuline.components import files
from tpuline.pipeline import api, follower, plan, pulse, runner
from tpuline.pipeline.hardware.config import HardwareConfig
from tpuline.pipeline.hardware.strategy import ConfiguredHardware
from tpuline.pipeline.runlog import RunLog

from .test_runner import load, rows


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def listener(place: Path) -> tuple[pulse.Listener, Clock]:
    clock = Clock()
    return pulse.Listener(str(place), clock=clock), clock


def test_chief_that_goes_on_is_heard_however_long_it_takes(tmp_path: Path) -> None:
    heard, clock = listener(tmp_path)
    for beat in range(5):
        files.write_bytes(str(tmp_path / pulse.NAME), str(beat).encode())
        clock.now += pulse.LOST_AFTER_S
        heard.check()


@pytest.mark.parametrize("began", [True, False])
def test_chief_that_falls_silent_or_never_begins_is_missed(tmp_path: Path, began: bool) -> None:
    heard, clock = listener(tmp_path)
    if began:
        files.write_bytes(str(tmp_path / pulse.NAME), b"1")
    heard.check()
    clock.now = pulse.LOST_AFTER_S
    heard.check()
    clock.now += 1
    with pytest.raises(RuntimeError, match=r"no sign of life for 180 s: it was killed.* start all"):
        heard.check()


def test_pulse_changes_while_the_chief_runs_and_goes_away_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "BEAT_EVERY_S", 0.01)
    file = tmp_path / "runs" / pulse.NAME  # whose folder is made
    with pytest.raises(ZeroDivisionError), pulse.beating(str(file.parent)):
        seen: set[bytes] = set()
        deadline = time.monotonic() + 30
        while len(seen) < 3 and time.monotonic() < deadline:
            if file.exists():
                seen.add(file.read_bytes())
        assert len(seen) == 3
        _ = 1 / 0
    assert list(file.parent.iterdir()) == []


def test_chief_of_several_workers_gives_signs_of_life_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ConfiguredHardware, "num_workers", 2)
    (tmp_path / "rows.csv").write_text(rows(300))
    alive = tmp_path / "runs" / "small" / pulse.NAME
    execute = runner.execute
    seen: list[bool] = []

    def slow(*args: Any, **kwargs: Any) -> runner.RunResult:
        deadline = time.monotonic() + 30
        while not alive.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append(alive.exists())
        return execute(*args, **kwargs)

    monkeypatch.setattr(runner, "execute", slow)
    result = api.run(load(tmp_path), root=tmp_path / "runs", until="preprocess")
    assert result.error is None and seen == [True]
    assert not alive.exists()


def test_place_that_cannot_be_read_for_a_while_is_no_sign_of_death(tmp_path: Path) -> None:
    heard, clock = listener(tmp_path)
    (tmp_path / pulse.NAME).mkdir()  # as if the bucket had a bad moment
    clock.now = pulse.LOST_AFTER_S
    heard.check()
    clock.now += 1
    with pytest.raises(RuntimeError, match="no sign of life"):
        heard.check()


def test_worker_whose_chief_is_gone_ends_with_the_stage_that_it_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "LOST_AFTER_S", 0.5)
    (tmp_path / "rows.csv").write_text(rows(300))
    loaded = load(tmp_path)
    with RunLog(quiet=True) as log:
        result = follower.follow(
            loaded,
            plan.make(loaded, until="train"),
            root=str(tmp_path / "runs"),
            log=log,
            hardware=ConfiguredHardware(HardwareConfig(strategy="cpu")),
        )
    assert result.status == "failed"
    assert "preprocess" in str(result.error)
    assert "the chief has given no sign of life" in str(result.error)
