"""Runs in which a variant of the model fails: the plan, the store and the report are real, what the
stages do is not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.pipeline.run_facts import finished, with_variants
from tpuline.components.contracts import ReferenceAccuracy, References
from tpuline.pipeline import api, cli, config, outcome, plan, report_html, runner, store
from tpuline.pipeline.hardware.config import HardwareConfig
from tpuline.pipeline.hardware.strategy import ConfiguredHardware
from tpuline.pipeline.report import FailedVariant, summary_lines, to_json
from tpuline.pipeline.runlog import RunLog
from tpuline.pipeline.stages import Stage

INT8 = {"type": "quantize"}
VARIANTS = {"student": {"type": "shrink"}, "both": INT8 | {"of": "student"}, "int8": INT8}


class Toys:
    """What every stage of a run makes; a step that is in `broken` raises."""

    def __init__(self, *, evaluation: Any = None, judgement: Any = None, **broken: str) -> None:
        self.evaluation, self.judgement = evaluation, judgement
        self.broken = {name.replace("_", " "): words for name, words in broken.items()}
        self.ran = list[str]()
        self.chosen_from: list[str] = []

    def of(self, step: plan.Step) -> plan.Step:
        """The step with a toy for what its stage does."""
        module = SimpleNamespace(**vars(step.stage.module) | {"run": self._run_of(step.name)})
        return replace(step, stage=Stage(name=step.stage.name, module=module))  # type: ignore[arg-type]

    def _run_of(self, name: str) -> Callable[..., Any]:
        def run(config: Any, inputs: Any, ctx: Any) -> Any:
            self.ran.append(name)
            if name in self.broken:
                raise ValueError(self.broken[name])
            return replace(self._made(name.partition(" ")[0], inputs), uri=str(ctx.workdir))

        return run

    def _made(self, stage: str, inputs: Any) -> Any:
        whole = finished()
        assert whole.choice and whole.handoff
        if stage == "choose":
            self.chosen_from = list(inputs.reports)
            (base,) = whole.choice.variants
            results = tuple(replace(base, name=name) for name in inputs.reports)
            return replace(whole.choice, variants=results, chosen=self.chosen_from[-1])
        made = {
            "preprocess": whole.shards, "train": whole.model, "optimize": whole.model,
            "export": whole.servable, "evaluate": self.evaluation or whole.evaluation,
            "judge": self.judgement or whole.judgement,
            "load": whole.load,
            "handoff": replace(whole.handoff, variant=self.chosen_from and self.chosen_from[-1]),
            "reference": References(
                uri="", accuracies=(ReferenceAccuracy(split="test", majority=0.1, linear=0.5),)
            ),
        }  # fmt: skip
        return made[stage]


def run(toys: Toys, root: Path, *, until: str | None = None) -> runner.RunResult:
    """All stages of a config with the variants above."""
    (root / "rows.csv").write_text("text,label\ngood,1\nbad,0\n")
    loaded = config.parse(
        {
            "name": "toys",
            "data_dir": str(root),
            "preprocess": {"source": {"train": "rows.csv"}},
            "optimize": {"variants": VARIANTS},
        }
    )
    steps = tuple(toys.of(step) for step in plan.make(loaded, until=until))
    hardware = ConfiguredHardware(HardwareConfig(strategy="cpu"))
    with RunLog(quiet=True, events=root / "events.jsonl") as log:
        return runner.execute(loaded, steps, root=root / "runs", log=log, hardware=hardware)


def test_run_goes_on_without_a_variant_that_fails(tmp_path: Path) -> None:
    toys = Toys(export_int8="no kernel of 8 bits")
    result = run(toys, tmp_path)
    assert result.status == "blessed" and result.error is None
    assert result.failed_variants == (
        FailedVariant(name="int8", stage="export", reason="no kernel of 8 bits"),
    )
    assert toys.chosen_from == ["base", "student", "both"]
    assert "evaluate int8" not in toys.ran and toys.ran[-1] == "handoff"
    assert result.artifacts["handoff"].variant == "both"
    facts = api.read_report(result.folder)
    assert facts["failed_variants"] == [
        {"name": "int8", "stage": "export", "reason": "no kernel of 8 bits"}
    ]
    status = {stage["name"]: stage["status"] for stage in facts["stages"]}
    assert status["export int8"] == "failed" and status["choose"] == "done"
    (warning,) = [line for line in facts["warnings"] if "int8" in line]
    assert warning.startswith("variant int8 failed in export, and the run goes on without int8:")
    page = result.report_html.read_text()
    assert "no kernel of 8 bits" in page and "Blessed: both, 1 variant failed" in page


def test_what_is_made_of_a_variant_that_fails_is_left_out_with_it(tmp_path: Path) -> None:
    toys = Toys(optimize_student="the loss is not finite")
    result = run(toys, tmp_path)
    assert [(one.name, one.stage) for one in result.failed_variants] == [
        ("student", "optimize"),
        ("both", None),
    ]
    assert result.failed_variants[1].reason == "is made of student, which failed"
    assert toys.chosen_from == ["base", "int8"] and "optimize both" not in toys.ran


def test_failed_variant_is_tried_again_and_what_was_chosen_without_it_is_chosen_anew(
    tmp_path: Path,
) -> None:
    run(Toys(evaluate_int8="no memory"), tmp_path)
    again = Toys()
    result = run(again, tmp_path)
    assert again.ran == ["evaluate int8", "judge int8", "choose", "load", "handoff"]
    assert again.chosen_from == ["base", "student", "both", "int8"]
    assert result.failed_variants == () and result.status == "blessed"
    assert api.read_report(result.folder)["failed_variants"] == []


def test_run_that_failed_the_same_way_reuses_all_that_it_made(tmp_path: Path) -> None:
    run(Toys(evaluate_int8="no memory"), tmp_path)
    again = Toys(evaluate_int8="no memory")
    result = run(again, tmp_path)
    assert again.ran == ["evaluate int8"]
    assert result.failed_variants and result.artifacts["handoff"].variant == "both"


def test_verdict_does_not_outlive_what_it_is_on(tmp_path: Path) -> None:
    """What is measured anew has the same key, and other numbers."""
    run(Toys(), tmp_path)
    shutil.rmtree(next((tmp_path / "runs" / "evaluate").glob("*/manifest.json")).parent)
    whole = finished().evaluation
    assert whole
    again = Toys(evaluation=replace(whole, cold_start_s=9.0))
    result = run(again, tmp_path)
    evaluated, judged, *rest = again.ran
    assert (evaluated, judged) in [("evaluate", "judge")] + [
        (f"evaluate {name}", f"judge {name}") for name in VARIANTS
    ]
    assert rest == ["choose", "load", "handoff"] and result.status == "blessed"
    settled = Toys()
    run(settled, tmp_path)
    assert settled.ran == []


@pytest.mark.parametrize(("blessed", "status"), [(True, "partial"), (False, "refused")])
def test_run_until_judge_says_no_where_no_variant_is_blessed(
    tmp_path: Path, blessed: bool, status: str
) -> None:
    judgement = finished("blessed" if blessed else "refused").judgement
    result = run(Toys(judgement=judgement), tmp_path, until="judge")
    assert result.status == status
    page = result.report_html.read_text()
    assert ("nothing was chosen" in page) is blessed and "nothing was judged" not in page
    told = [line.split()[:2] for line in summary_lines(api.read_report(result.folder))]
    for name in ("base", *VARIANTS):
        assert [name, "passed" if blessed else "refused:"] in told
        assert f"<b>{name}</b>: {'passed every gate' if blessed else 'refused: min_gain'}" in page


def test_run_until_evaluate_judges_nothing(tmp_path: Path) -> None:
    result = run(Toys(), tmp_path, until="evaluate")
    assert result.status == "partial"
    assert "The run was asked to stop here; nothing was judged." in result.report_html.read_text()


def test_all_variants_may_fail_and_the_model_as_it_was_trained_is_handed_over(
    tmp_path: Path,
) -> None:
    toys = Toys(optimize_student="x", optimize_int8="y")
    result = run(toys, tmp_path)
    assert result.status == "blessed" and toys.chosen_from == ["base"]
    page = result.report_html.read_text()
    assert "Blessed: base, 3 variants failed" in page
    assert 'id="variants"' in page and "Only the model as it was trained was judged" in page


@pytest.mark.parametrize("stage", ["train", "evaluate", "handoff"])
def test_run_fails_where_the_model_as_it_was_trained_does(tmp_path: Path, stage: str) -> None:
    toys = Toys(**{stage: "broken"}, optimize_int8="y")
    result = run(toys, tmp_path)
    assert result.status == "failed" and toys.ran[-1] == stage
    assert str(result.error).startswith(f"{stage} failed: broken")
    assert "handoff" not in result.artifacts
    lines = summary_lines(api.read_report(result.folder))
    assert lines[0].startswith(f"toys: Failed in {stage}")


def test_training_of_several_workers_ends_with_a_variant_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others wait in the middle of the same step, and know nothing of the next."""
    monkeypatch.setattr(ConfiguredHardware, "num_workers", 2)
    result = run(Toys(optimize_student="x"), tmp_path)
    assert result.status == "failed" and result.failed_variants == ()
    exported = run(Toys(export_student="x"), tmp_path)
    assert exported.status == "blessed" and len(exported.failed_variants) == 1


def test_manifest_of_the_choice_names_the_variants_that_were_there(tmp_path: Path) -> None:
    run(Toys(export_int8="x"), tmp_path)
    (manifest,) = store.Store(tmp_path / "runs").manifests("choose")
    assert set(manifest.inputs["reports"]) == {"base", "student", "both"}


def test_exit_code_tells_of_failed_variants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(Toys(export_int8="x"), tmp_path, until="evaluate")
    assert result.status == "partial"

    def code_of(status: outcome.Status, **changed: Any) -> int:
        monkeypatch.setattr(api, "load", lambda *_: None)
        ended = replace(result, status=status, **changed)
        monkeypatch.setattr(api, "run", lambda *_, **__: ended)
        return cli.main(["run", "toys.yaml"])

    assert code_of("blessed") == code_of("partial") == cli.INCOMPLETE == 4
    assert code_of("refused") == cli.REFUSED and code_of("failed") == cli.FAILED
    told = capsys.readouterr()
    assert "tpuline: variant int8 failed in export: x" in told.err
    assert "int8        failed in export: x" in told.out
    assert told.out.startswith("toys: Stopped after evaluate both, 1 variant failed\n")
    assert code_of("blessed", failed_variants=()) == cli.DONE
    assert "variant" not in capsys.readouterr().err


def test_page_tells_every_failed_variant_beside_the_others() -> None:
    facts = replace(
        with_variants(),
        failed_variants=(FailedVariant(name="<b>", stage="export", reason="a <i>\nb"),),
    )
    page = report_html.render(facts, to_json(facts))
    assert "&lt;b&gt;" in page and "a &lt;i&gt;" in page and "<i>\n" not in page
    assert "Every variant of the model was exported" in page
