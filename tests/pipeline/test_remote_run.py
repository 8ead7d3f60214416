"""Runs whose data and whose artifacts are in a bucket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tpuline.components import files
from tpuline.components.stage import Context
from tpuline.components.train import stage as train
from tpuline.pipeline import api, config
from tpuline.pipeline.cli import main


def load(bucket: str, *overrides: str) -> config.RunConfig:
    """A config for `rows.csv` in a folder of the bucket."""
    data = {
        "name": "small",
        "data_dir": files.join(bucket, "data"),
        "preprocess": {"source": {"train": "rows.csv"}, "vocabulary": {"size": 200}},
    }
    return config.parse(data, overrides)


@pytest.fixture
def bucket(gcs_emulator: str) -> str:
    """A bucket with data in it."""
    lines = [f"the {i} item is {'fine' if i % 2 else 'bad'} today,{i % 2}" for i in range(300)]
    rows = "text,label\n" + "\n".join(lines) + "\n"
    files.write_bytes(files.join(gcs_emulator, "data", "rows.csv"), rows.encode())
    return gcs_emulator


def test_run_in_a_bucket_is_reused_explained_and_shown_from_another_machine(
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, loaded = files.join(bucket, "runs"), load(bucket)
    (step,) = api.plan(loaded, root=root, until="preprocess")
    assert step.reason == "never made under this root"
    first = api.run(loaded, root=root, until="preprocess")
    assert first.error is None and first.status == "partial"
    assert first.place == f"{root}/small"

    monkeypatch.setenv("TPULINE_CACHE", str(tmp_path / "another machine"))
    (step,) = api.plan(loaded, root=root, until="preprocess")
    assert step.reason is None
    (other,) = api.plan(
        load(bucket, "preprocess.sequence_length=64"), root=root, until="preprocess"
    )
    assert other.reason == "changed: sequence_length: 128 -> 64"
    second = api.run(loaded, root=root, until="preprocess")
    assert second.stages[0].reused
    shards = api.open_artifact(files.join(root, "preprocess", step.key))
    assert Path(shards.uri).is_relative_to(tmp_path / "another machine")
    assert (Path(shards.uri) / shards.splits[0].shards[0].records_file).is_file()
    before, now = first.artifacts["preprocess"], second.artifacts["preprocess"]
    assert now.splits == before.splits and now.uri != before.uri

    assert main(["show", first.place]) == 0
    assert "Stopped after preprocess" in capsys.readouterr().out
    events = files.read_bytes(f"{first.place}/events.jsonl").splitlines()
    assert len({json.loads(event)["message"] for event in events}) >= 2
    assert sum(b"reused" in event and b"preprocess: reused" in event for event in events) == 1
    assert files.exists(f"{first.place}/report.html")


def test_stage_is_told_where_other_machines_find_its_inputs(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def look(config: Any, inputs: train.Inputs, ctx: Context) -> Any:
        found.append(ctx.everywhere(inputs.shards.uri))
        raise ValueError("seen")

    monkeypatch.setattr(train, "run", look)
    root = files.join(bucket, "runs")
    result = api.run(load(bucket), root=root, until="train")
    key = result.stages[0].key
    assert found == [f"{root}/preprocess/{key}"]
    assert files.exists(f"{found[0]}/manifest.json")


def test_bucket_that_is_not_there_is_a_fault_of_the_config(bucket: str) -> None:
    for call in (api.plan, api.run):
        with pytest.raises(config.ConfigError, match=r"gs://no-such/runs.*no such file or bucket"):
            call(load(bucket), root="gs://no-such/runs", until="preprocess")
    with pytest.raises(config.ConfigError, match="no such file or bucket"):
        api.plan(load("gs://no-such"), root=files.join(bucket, "runs"))
    with pytest.raises(ValueError, match="must be a finished artifact"):
        api.open_artifact("gs://no-such/runs/preprocess/0123")
    with pytest.raises(ValueError, match="a run that ended"):
        api.read_report("gs://no-such/runs/small")
