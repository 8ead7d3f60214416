"""Executes a plan: reuse, run, commit, or fail with the stage named; then writes the report."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ..components.contracts import EvalReport, Servable, ShardSet, TrainedModel
from ..components.stage import Context, Hardware
from . import machine, plan, report, store
from .config import RunConfig
from .errors import StageError
from .runlog import RunLog

Status = Literal["blessed", "refused", "failed", "partial"]


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How a run ended. `artifacts` holds a contract record for each stage that is done."""

    status: Status
    folder: Path  # <root>/<config name>: report.html, report.json, events.jsonl
    artifacts: dict[str, Any]
    stages: tuple[report.StageFacts, ...]
    error: StageError | None = None

    @property
    def report_html(self) -> Path:
        return self.folder / "report.html"


def execute(
    config: RunConfig,
    steps: tuple[plan.Step, ...],
    *,
    root: str | Path,
    log: RunLog,
    hardware: Hardware,
) -> RunResult:
    """Runs what is not there yet, in order, and writes the report whatever happens.

    Raises:
        KeyboardInterrupt: passed on, with nothing half-done taken for done.
    """
    shelf = store.Store(root)
    set_up_libraries()
    started = store.now()
    done: list[report.StageFacts] = []
    artifacts: dict[str, Any] = {}
    error: StageError | None = None
    for step in steps:
        clock = time.monotonic()
        try:
            facts, artifacts[step.name] = _step(
                config, step, steps, shelf, artifacts, log, hardware
            )
            done.append(facts)
        except StageError as failure:
            error = failure
            done.append(
                report.StageFacts(
                    name=step.name,
                    key=step.key,
                    reused=False,
                    seconds=round(time.monotonic() - clock, 3),
                    status="failed",
                )
            )
            break
    status = _status(artifacts, error)
    folder = shelf.root / config.name
    run_facts = report.RunFacts(
        name=config.name,
        status=status,
        started=started,
        config=config.as_dict(),
        versions=machine.versions(),
        machine=machine.describe(),
        stages=tuple(done),
        warnings=tuple(log.warnings),
        error=str(error) if error else None,
        **_by_type(artifacts),
    )
    try:
        report.write(run_facts, folder)
    except OSError as failure:  # a full disk, say: the first error is the one that matters
        error = error or StageError("report", str(folder), failure)
        status = "failed"
    return RunResult(
        status=status, folder=folder, artifacts=artifacts, stages=tuple(done), error=error
    )


def set_up_libraries() -> None:
    """Environment of TensorFlow, to be set before it is first imported; what is set already stays.

    No C++ chatter about drivers that are not there: what goes wrong is raised as an exception, too.
    GPU memory is taken as needed: latency is measured by another process on the same GPU.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


def _step(
    config: RunConfig,
    step: plan.Step,
    steps: tuple[plan.Step, ...],
    shelf: store.Store,
    artifacts: dict[str, Any],
    log: RunLog,
    hardware: Hardware,
) -> tuple[report.StageFacts, Any]:
    """One stage: reused when its artifact is whole, else made."""

    def waiting() -> None:
        log.info(f"{step.name}: another run is making {step.key}; waiting for it")

    with shelf.writing(step.name, step.key, on_wait=waiting):
        manifest = shelf.manifest(step.name, step.key)
        reused = manifest is not None
        if manifest is None:
            manifest = _make(config, step, steps, shelf, artifacts, log, hardware)
        took = f"reused {step.key}" if reused else f"done in {manifest.seconds:.1f} s"
        log.info(f"{step.name}: {took}", stage=step.name, key=step.key, reused=reused)
        facts = report.StageFacts(
            name=step.name,
            key=step.key,
            reused=reused,
            seconds=manifest.seconds,
            status="reused" if reused else "done",
        )
        return facts, shelf.read(manifest, step.stage.Output)


def _make(
    config: RunConfig,
    step: plan.Step,
    steps: tuple[plan.Step, ...],
    shelf: store.Store,
    artifacts: dict[str, Any],
    log: RunLog,
    hardware: Hardware,
) -> store.Manifest:
    """Runs one stage in an empty folder and commits what it leaves there."""
    log.info(f"{step.name}: running {step.key}", stage=step.name, key=step.key)
    folder = shelf.folder(step.name, step.key)
    clock = time.monotonic()
    try:
        shelf.clear(step.name, step.key)
        inputs = step.stage.Inputs(**{f: artifacts[maker] for f, maker in step.inputs.items()})
        ctx = Context(
            workdir=folder,
            data_dir=Path(config.data_dir),
            seed=config.seed,
            hardware=hardware,
            log=log,
        )
        output = step.stage.run(config.sections[step.name], inputs, ctx)
        keys = {other.name: other.key for other in steps}
        manifest = store.Manifest(
            format=store.FORMAT,
            stage=step.name,
            key=step.key,
            stage_version=step.stage.version,
            created=store.now(),
            seconds=round(time.monotonic() - clock, 3),
            inputs={field: keys[maker] for field, maker in step.inputs.items()},
            identity=step.identity,
            versions=machine.versions(),
            files=store.describe(folder),
            output=asdict(output) | {"uri": "."},
        )
        shelf.commit(manifest)
        return manifest
    except Exception as cause:
        raise StageError(step.name, str(folder), cause) from cause
    finally:
        log.end_tasks()


def _status(artifacts: dict[str, Any], error: StageError | None) -> Status:
    if error is not None:
        return "failed"
    judged = [a for a in artifacts.values() if isinstance(a, EvalReport)]
    if not judged:
        return "partial"
    return "blessed" if judged[-1].verdict.blessed else "refused"


def _by_type(artifacts: dict[str, Any]) -> dict[str, Any]:
    """The artifacts under the names that the report knows them by."""
    names = {
        ShardSet: "shards",
        TrainedModel: "model",
        Servable: "servable",
        EvalReport: "evaluation",
    }
    return {names[type(a)]: a for a in artifacts.values() if type(a) in names}
