"""What the runner sees to besides running: changed sources, older libraries, the status."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from tests.pipeline.hardware import test_utilisation
from tpuline.components.contracts import Parity, Servable
from tpuline.components.stage import Context
from tpuline.pipeline import api, config, outcome, plan, runner, store
from tpuline.pipeline.hardware.config import HardwareConfig
from tpuline.pipeline.hardware.preflight.result import FORMAT, model_facts
from tpuline.pipeline.hardware.strategy import ConfiguredHardware
from tpuline.pipeline.runlog import RunLog

HARDWARE = ConfiguredHardware(HardwareConfig(strategy="cpu"))


def rows(number: int) -> str:
    """A small CSV of two labels."""
    lines = [f"the {i} item is {'fine' if i % 2 else 'bad'} today,{i % 2}" for i in range(number)]
    return "text,label\n" + "\n".join(lines) + "\n"


def load(folder: Path) -> config.RunConfig:
    """A config for `rows.csv` in `folder`."""
    data = {
        "name": "small",
        "data_dir": str(folder),
        "preprocess": {"source": {"train": "rows.csv"}},
    }
    return config.parse(data, ["preprocess.vocabulary.size=200"])


def execute(loaded: config.RunConfig, steps: tuple[plan.Step, ...], root: Path) -> runner.RunResult:
    """Runs the steps with their events in a file."""
    with RunLog(quiet=True, events=root / "events.jsonl") as log:
        return runner.execute(loaded, steps, root=root, log=log, hardware=HARDWARE)


def test_source_that_changes_while_it_is_read_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(rows(300))
    loaded = load(tmp_path)
    steps = plan.make(loaded, until="preprocess")
    (tmp_path / "rows.csv").write_text(rows(200))
    result = execute(loaded, steps, tmp_path / "runs")
    assert result.status == "failed"
    assert "changed while it was read" in str(result.error)
    assert store.Store(tmp_path / "runs").manifest("preprocess", steps[0].key) is None
    events = (tmp_path / "runs" / "events.jsonl").read_text().splitlines()
    errors = [event for event in map(json.loads, events) if event["kind"] == "error"]
    assert "Traceback" in errors[0]["traceback"]


@pytest.mark.parametrize("frozen", [False, True])
def test_preflight_in_the_folder_of_the_run_counts_for_the_model_that_it_was_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frozen: bool
) -> None:
    (tmp_path / "rows.csv").write_text(rows(300))
    loaded = load(tmp_path)
    (step,) = plan.make(loaded, until="preprocess")
    told, original = [], step.stage.run

    def run(config: Any, inputs: Any, ctx: Context) -> Any:
        told.append(
            ctx.seconds_at_peak(
                accelerator="v5e-8",
                num_parameters=1000,
                precision="mixed_bfloat16",
                rows_by_width={32: 128, 64: 64},
            )
        )
        return original(config, inputs, ctx)

    monkeypatch.setattr(step.stage.module, "run", run)
    place = tmp_path / "runs" / "small"
    place.mkdir(parents=True)
    (place / "preflight-v6e-8.json").write_text("{}")
    of = model_facts(loaded.sections["train"].model) | {"freeze_backbone": frozen}
    facts = test_utilisation.preflight() | {"format": FORMAT, "model": of}
    (place / "preflight-v5e-8.json").write_text(json.dumps(facts))
    assert execute(loaded, (step,), tmp_path / "runs").status == "partial"
    assert told == ([None] if frozen else [dict.fromkeys((32, 64), ANY)])
    made = test_utilisation.trained()
    assert runner._utilisation({"model": made}, [facts]) == test_utilisation.utilisation(
        made, [facts]
    )
    assert runner._utilisation({}, [facts]) is None


def test_reuse_says_when_other_libraries_made_the_artifact(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(rows(300))
    loaded = load(tmp_path)
    steps = plan.make(loaded, until="preprocess")
    root = tmp_path / "runs"
    execute(loaded, steps, root)
    shelf = store.Store(root)
    manifest = shelf.manifest("preprocess", steps[0].key)
    assert manifest is not None
    older = dataclasses.replace(manifest, versions=manifest.versions | {"tensorflow": "2.0.0"})
    shelf.commit(older)
    result = execute(loaded, steps, root)
    assert result.stages[0].reused
    warnings = api.read_report(result.folder)["warnings"]
    assert len(warnings) == 1 and "tensorflow 2.0.0" in warnings[0]


@pytest.mark.parametrize(("passed", "status"), [(True, "partial"), (False, "refused")])
def test_failed_parity_is_refused_even_where_nothing_is_evaluated(
    passed: bool, status: str
) -> None:
    parity = Parity(
        passed=passed, num_texts=256, token_mismatches=0, max_abs_diff=0.1, tolerance=1e-5
    )
    servable = Servable(
        uri="x",
        saved_model_dir="m/1",
        version=1,
        size_bytes=1,
        label_names=("a", "b"),
        has_text_pair=False,
        sequence_length=8,
        tokenizer_fingerprint="f",
        parity=parity,
    )
    assert outcome.status({Servable: servable}, [servable], None) == status


def test_run_that_is_interrupted_leaves_no_older_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows.csv").write_text(rows(300))
    loaded = load(tmp_path)
    steps = plan.make(loaded, until="preprocess")
    root = tmp_path / "runs"
    first = execute(loaded, steps, root)
    assert first.report_html.exists()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store.Store, "read", interrupt)
    with pytest.raises(KeyboardInterrupt):
        execute(loaded, steps, root)
    assert not first.report_html.exists()
    with pytest.raises(ValueError, match="a run that ended"):
        api.read_report(first.folder)
