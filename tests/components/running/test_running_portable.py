"""A Beam job service and a pool of workers, each a real process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components.preprocess.test_same_bytes import job_service
from tests.components.running import toy_pipeline
from tests.components.running.quiet_log import QuietLog
from tpuline.components.running import runners
from tpuline.components.running.config import Portable, Running


@pytest.fixture(scope="module")
def service(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portable]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(checkout))  # workers find the toy
        with job_service(tmp_path_factory.mktemp("staging")) as started:
            yield started


def run(folder: Path, portable: Portable, *, trouble: str | None = None) -> None:
    build = toy_pipeline.builder(folder, trouble=trouble)
    runners.run(build, Running(runner="portable", portable=portable), log=QuietLog(), name="toy")


def test_job_service_has_its_own_workers_do_the_work(service: Portable, tmp_path: Path) -> None:
    run(tmp_path, service)
    worked = toy_pipeline.result(tmp_path)
    assert [one.number for one in worked] == list(range(6))
    assert os.getpid() not in {one.pid for one in worked}


@pytest.mark.slow
def test_loopback_has_this_process_do_the_work(service: Portable, tmp_path: Path) -> None:
    run(tmp_path, Portable(endpoint=service.endpoint, environment="loopback"))
    assert {one.pid for one in toy_pipeline.result(tmp_path)} == {os.getpid()}


@pytest.mark.slow
def test_job_that_fails_is_told_with_its_reason(service: Portable, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the toy's own complaint"):
        run(tmp_path, service, trouble="exception")


def test_endpoint_where_nobody_answers_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "CONNECT_S", 1)
    with pytest.raises(RuntimeError, match=r"^preprocess\.portable\.endpoint: nothing answers at"):
        run(tmp_path, Portable(endpoint="localhost:9"))


def test_containers_are_sent_our_wheel_and_other_workers_nothing(tmp_path: Path) -> None:
    image = Portable(endpoint="host:1", environment="docker", environment_config="a/b:1")
    flags = runners.portable_flags(image, tmp_path)
    (wheel,) = [flag.partition("=")[2] for flag in flags if flag.startswith("--extra_package=")]
    assert Path(wheel).is_file()
    assert "--environment_type=DOCKER" in flags
    assert "--environment_config=a/b:1" in flags
    there = Portable(endpoint="host:1", environment="external", environment_config="host:2")
    assert not [flag for flag in runners.portable_flags(there, tmp_path) if "package" in flag]
