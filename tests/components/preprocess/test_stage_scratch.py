"""What the stage leaves behind beside the artifact: nothing, or it says where."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tpuline.components import files
from tpuline.components.preprocess import graph, stage
from tpuline.components.reading.source import Source
from tpuline.components.running import runners
from tpuline.components.running.config import Dataflow, Portable
from tpuline.components.stage import Context

from ..running.quiet_log import QuietLog
from .stage_runs import config, contents, numbered_rows, preprocess, write_csv


def cloud(bucket: str) -> dict[str, Any]:
    """The fields of a config whose workers are Dataflow's."""
    temp = f"{bucket}/tmp"
    where = Dataflow(project="proj-x", region="europe-west4", temp_location=temp)
    return {"runner": "dataflow", "dataflow": where, "source": Source(train="sample:support")}


def context(workdir: Path, *, shared: str = "", data_dir: Path | str = ".") -> Context:
    workdir.mkdir()
    return Context(
        workdir=workdir,
        shared=shared,
        data_dir=data_dir,
        seed=0,
        hardware=None,  # type: ignore[arg-type]
        log=QuietLog(),
    )


def test_failed_run_leaves_no_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = str(tmp_path / "out" / stage.SCRATCH)

    def fail(*_: Any) -> None:
        raise ArithmeticError(f"spilled {files.below(scratch)[0].path}")

    monkeypatch.setattr(graph, "make_plan", fail)
    write_csv(tmp_path / "train.csv", numbered_rows(20))
    with pytest.raises(ArithmeticError, match=f"spilled {scratch}/"):
        preprocess(tmp_path, tmp_path / "out", config())
    assert files.below(scratch) == ()


def test_scratch_that_cannot_be_removed_is_named_and_hides_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: str) -> None:
        raise PermissionError("may not delete")

    ctx = context(tmp_path / "out")
    work = stage._work(config(), 1, ctx)
    monkeypatch.setattr(files, "remove_folder", refuse)
    with pytest.raises(RuntimeError, match="the first error"), stage._scratch(work, ctx):
        raise RuntimeError("the first error")
    (warning,) = ctx.log.warnings  # type: ignore[attr-defined]
    assert warning.startswith(f"{work.scratch_dir} holds texts") and "may not delete" in warning


@pytest.mark.parametrize("shared", ["", "gs://bucket/runs/key"])
def test_interrupted_job_leaves_word_of_its_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: str
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stage.running, "run", interrupt)  # the job goes on elsewhere
    ctx = context(tmp_path / "out", shared=shared)
    with pytest.raises(KeyboardInterrupt):
        stage.run(config(**cloud("gs://bucket")), stage.Inputs(), ctx)
    (warning,) = ctx.log.warnings  # type: ignore[attr-defined]
    place = f"{shared}/scratch/" if shared else "gs://bucket/tmp/tpuline-"
    assert warning.startswith(place) and warning.endswith("delete it when the job has ended")


@pytest.mark.parametrize(
    ("shared", "runner"), [("", {}), ("gs://bucket/key", cloud("gs://bucket"))]
)
def test_attempts_at_an_artifact_share_no_scratch(
    tmp_path: Path, shared: str, runner: dict[str, Any]
) -> None:
    ctx = context(tmp_path / "out", shared=shared)
    one, two = (stage._work(config(**runner), 1, ctx) for _ in range(2))
    assert one.out_dir == two.out_dir == ctx.shared
    assert one.scratch_dir != two.scratch_dir
    assert {Path(work.scratch_dir).parent for work in (one, two)} == {Path(ctx.shared, "scratch")}


def test_what_an_older_attempt_is_still_writing_is_no_part_of_the_artifact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stage.running.run

    def run_beside_another(*args: Any, **kwargs: Any) -> None:
        run(*args, **kwargs)
        files.write_bytes(str(tmp_path / "out" / stage.SCRATCH / "older" / "spill"), b"texts")

    monkeypatch.setattr(stage.running, "run", run_beside_another)
    write_csv(tmp_path / "train.csv", numbered_rows(60))
    preprocess(tmp_path, tmp_path / "out", config())
    assert not [name for name in contents(tmp_path / "out") if name.startswith(stage.SCRATCH)]


def test_workers_that_write_to_a_disk_of_their_own_are_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage.running, "run", lambda *_, **__: None)  # nothing arrives here
    write_csv(tmp_path / "train.csv", numbered_rows(20))
    with pytest.raises(
        RuntimeError, match=r"result\.json: must be there .*; let the workers share"
    ):
        preprocess(tmp_path, tmp_path / "out", config())


def test_what_workers_cannot_reach_is_refused_before_they_start(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", numbered_rows(20))
    made = config(**cloud("gs://bucket"))
    here = replace(made, source=Source(train="train.csv"))
    with pytest.raises(ValueError, match=r"^preprocess\.source\.train: must be in a bucket"):
        stage.check(here, tmp_path)
    fetched = replace(made, source=Source(train="tfds:nobody_made_this[train]"))
    with pytest.raises(ValueError, match=r"^preprocess\.source\.train: must not be of tfds:"):
        stage.fetch(fetched, tmp_path, QuietLog())
    image = Portable(endpoint="host:1", environment="docker", environment_config="a/b:1")
    contained = replace(made, runner="portable", portable=image)
    with pytest.raises(ValueError, match=r"^--root: must be in a bucket"):
        stage.run(contained, stage.Inputs(), context(tmp_path / "out"))


def test_preset_of_a_name_is_within_reach_of_every_worker(tmp_path: Path) -> None:
    """The stage writes its vocabulary beside the shards; workers read no more than that."""
    made = config(**cloud("gs://bucket"), vocabulary=stage.Vocabulary(preset="bert_tiny_en"))
    stage.check(made, tmp_path)


def test_warnings_that_were_off_before_stay_off() -> None:
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with runners.no_warnings():
            assert logging.root.manager.disable == logging.ERROR
        assert logging.root.manager.disable == logging.ERROR
    finally:
        logging.disable(before)
