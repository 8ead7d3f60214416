"""The whole stage on Dataflow's stand-in: what was staged really runs, by what was staged alone."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.components.preprocess.stage_runs import (
    config,
    contents,
    numbered_rows,
    preprocess,
    write_csv,
)
from tests.components.running.dataflow_service import (
    dataflow_service,
    execute,
    execute_here,
    staged_files,
    staged_pipeline,
)
from tests.components.running.quiet_log import QuietLog
from tpuline.components import files
from tpuline.components.contracts import ShardSet
from tpuline.components.preprocess import stage
from tpuline.components.running.config import Dataflow
from tpuline.components.stage import Context

pytestmark = pytest.mark.long

WHERE = "import tpuline.components.contracts as c; print(c.__file__)"


def borrowing_environment(folder: Path) -> Path:
    """The Python of an environment that sees every library installed here, but not tpuline: its
    editable installation hangs on a .pth file, and those are not followed from a .pth file.
    """
    venv.create(folder, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


def full_environment(folder: Path, staged: Path) -> Path:
    """The Python of an environment with Beam, and what `staged` asks for."""
    import apache_beam

    venv.create(folder, symlinks=True, with_pip=True)
    pip = [folder / "bin" / "pip", "install", "--quiet", "--find-links", staged]
    beam = f"apache-beam[gcp]=={apache_beam.__version__}"
    subprocess.run([*pip, beam, "-r", staged / "requirements.txt"], check=True)
    subprocess.run([folder / "bin" / "pip", "check"], check=True)
    return folder / "bin" / "python"


def download_staged(job: dict[str, Any], folder: Path) -> Path:
    """What workers would find when they start."""
    folder.mkdir()
    for name, url in staged_files(staged_pipeline(job)).items():
        files.copy(url, str(folder / name))
    return folder


def install_staged_wheel(staged: Path, python: Path) -> None:
    """Puts our wheel, and nothing else, into the environment of `python`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    look = [python, "-P", "-c", WHERE]
    before = subprocess.run(look, env=environment, capture_output=True, text=True)
    assert "No module named 'tpuline" in before.stderr
    packages = next(python.parents[1].glob("lib/python*/site-packages"))
    (wheel,) = staged.glob("tpuline-*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", packages, wheel], check=True)
    after = subprocess.run(look, env=environment, capture_output=True, text=True, check=True)
    assert Path(after.stdout.strip()).is_relative_to(packages)


def cloud(bucket: str, endpoint: str) -> Dataflow:
    """The stand-in, with its temporary files in the bucket."""
    return Dataflow(
        project="proj-x",
        region="europe-west4",
        temp_location=f"{bucket}/tmp",
        endpoint=endpoint,
    )


def run_on_dataflow(
    bucket: str, tmp_path: Path, make_environment: Callable[[Path, Path], Path]
) -> tuple[ShardSet, ShardSet]:
    """The same rows through the stage in this process, and as a job."""
    data = tmp_path / "data"
    data.mkdir()
    write_csv(data / "train.csv", numbered_rows(300))
    files.copy(str(data / "train.csv"), f"{bucket}/data/train.csv")

    def outcome(job: dict[str, Any]) -> str:
        staged = download_staged(job, tmp_path / "staged")
        python = make_environment(tmp_path / "venv", staged)
        install_staged_wheel(staged, python)
        return execute(job, python)

    with dataflow_service() as service:
        service.outcome = outcome
        made = config(runner="dataflow", dataflow=cloud(bucket, service.endpoint))
        there = preprocess(f"{bucket}/data", tmp_path / "there", made)
    assert service.jobs[0]["name"].startswith("tpuline-preprocess-there-")
    here = preprocess(data, tmp_path / "here", config())
    return here, there


def assert_same_artifact(here: ShardSet, there: ShardSet) -> None:
    """Every file but the rejects, which name the files that rows came from."""
    found, expected = (contents(Path(one.uri)) for one in (there, here))
    assert sorted(found) == sorted(expected)
    assert [name for name in found if found[name] != expected[name]] in ([], ["rejects.jsonl"])


def test_stage_gives_the_same_bytes_on_dataflow_from_the_staged_wheel(
    gcs_emulator: str, tmp_path: Path
) -> None:
    def environment(folder: Path, staged: Path) -> Path:
        return borrowing_environment(folder)

    assert_same_artifact(*run_on_dataflow(gcs_emulator, tmp_path, environment))


@pytest.mark.slow
def test_failed_job_leaves_no_texts_in_the_bucket(gcs_emulator: str, tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", numbered_rows(60))
    files.copy(str(tmp_path / "train.csv"), f"{gcs_emulator}/data/train.csv")
    scratch, spilled = f"{gcs_emulator}/runs/key/scratch", []

    def outcome(job: dict[str, Any]) -> str:
        execute_here(job)
        spilled.extend(files.below(scratch))
        return "JOB_STATE_FAILED"

    with dataflow_service() as service:
        service.outcome = outcome
        made = config(runner="dataflow", dataflow=cloud(gcs_emulator, service.endpoint))
        ctx = Context(
            workdir=tmp_path,
            shared=f"{gcs_emulator}/runs/key",
            data_dir=f"{gcs_emulator}/data",
            seed=0,
            hardware=None,  # type: ignore[arg-type]
            log=QuietLog(),
        )
        with pytest.raises(RuntimeError, match="the Dataflow job failed"):
            stage.run(made, stage.Inputs(), ctx)
    assert spilled and files.below(scratch) == ()


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(1800)
def test_staged_requirements_are_all_that_workers_need(gcs_emulator: str, tmp_path: Path) -> None:
    """Installs Beam and the staged requirements from the package index: gigabytes, minutes."""
    assert_same_artifact(*run_on_dataflow(gcs_emulator, tmp_path, full_environment))
