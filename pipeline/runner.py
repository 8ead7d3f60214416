"""Executes a plan: reuse, run, commit, or fail with the stage named; then writes the report."""

from __future__ import annotations

import os
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ..components import files
from ..components.contracts import (
    Choice,
    EvalReport,
    Handoff,
    LoadReport,
    Servable,
    ShardSet,
    TrainedModel,
)
from ..components.serving.bundle import MARKER
from ..components.stage import Context, Hardware
from . import machine, plan, report, store
from .config import RunConfig
from .errors import StageError
from .hardware.preflight.result import load_result
from .hardware.utilisation import Utilisation, utilisation
from .runlog import RunLog

HANDOFF_DIR = "handoff"
"""Of the folder of a run: the bundle, where there is one."""

Status = Literal["blessed", "refused", "failed", "partial"]


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How a run ended. `artifacts` holds a contract record for each stage that is done."""

    status: Status
    folder: Path  # report.html, report.json, events.jsonl, on this machine
    place: str  # <root>/<config name>: the same, where people look for it
    artifacts: dict[str, Any]
    stages: tuple[report.StageFacts, ...]
    error: StageError | None = None
    reported: bool = True  # False: the report could not be written

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
    callbacks: tuple[Any, ...] = (),
) -> RunResult:
    """Runs what is not there yet, in order, and writes the report whatever happens.

    Raises:
        KeyboardInterrupt: passed on, with nothing half-done taken for done.
        OSError: the report of an earlier run cannot be taken away.
    """
    run = _Run(config, steps, store.at(root), log, hardware, callbacks)
    started = store.now()
    folder, place = run.shelf.root / config.name, run.shelf.run_place(config.name)
    report.remove(folder)  # a run that is killed must not leave an older verdict as its own
    run.shelf.withdraw_run(config.name)
    error: StageError | None = None
    for step in steps:
        try:
            run.step(step)
        except StageError as failure:
            error = failure
            break
    status = _status(run.judged(), error)
    facts = report.RunFacts(
        name=config.name,
        status=status,
        started=started,
        config=config.as_dict(),
        versions=machine.versions(),
        machine=machine.describe(),
        stages=tuple(run.stages),
        warnings=tuple(log.warnings),
        error=str(error) if error else None,
        utilisation=_utilisation(run.artifacts, folder),
        **_by_type(run.judged()),
    )
    reported = False
    try:
        _hand_over(run.judged().get(Handoff), place)
        report.write(facts, folder)
        run.shelf.publish_run(config.name)
        reported = True
    except OSError as failure:  # a full disk, say: the first error is the one that matters
        error = error or StageError("report", place, failure)
        status = "failed"
    return RunResult(
        status=status,
        folder=folder,
        place=place,
        artifacts=run.artifacts,
        stages=tuple(run.stages),
        error=error,
        reported=reported,
    )


def _hand_over(handoff: Handoff | None, place: str) -> None:
    """Copies the bundle to `<root>/<config name>/handoff`, its marker last.

    An older one stays until a run says yes or no: it carries a verdict of its own.
    """
    if handoff is None:
        return
    _take_back(place)
    if handoff.bundle_dir is None:
        return
    source, target = files.join(handoff.uri, handoff.bundle_dir), files.join(place, HANDOFF_DIR)
    names = [info.path.removeprefix(f"{source}/") for info in files.below(source)]
    for name in sorted(names, key=lambda name: name == MARKER):
        files.copy(files.join(source, name), files.join(target, name))


def _take_back(place: str) -> None:
    """The bundle of an earlier run; without its marker it is none."""
    bundle = files.join(place, HANDOFF_DIR)
    files.remove(files.join(bundle, MARKER))
    files.remove_folder(bundle)


def set_up_libraries() -> None:
    """Environment of TensorFlow, to be set before it is first imported; what is set already stays.

    No C++ chatter about drivers that are not there: what goes wrong is raised as an exception, too.
    GPU memory is taken as needed: latency is measured by another process on the same GPU.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


class _Run:
    """One run on its way: what is done so far, and how the next stage is done."""

    def __init__(
        self,
        config: RunConfig,
        steps: tuple[plan.Step, ...],
        shelf: store.Store,
        log: RunLog,
        hardware: Hardware,
        callbacks: tuple[Any, ...],
    ) -> None:
        self.config, self.shelf, self.log, self.hardware = config, shelf, log, hardware
        self.callbacks = callbacks
        self.keys = {step.name: step.key for step in steps}
        self.made_by = {step.name: step.stage.name for step in steps}
        self.variants = {step.name: step.variant for step in steps}
        self.artifacts: dict[str, Any] = {}
        self.stages: list[report.StageFacts] = []

    def step(self, step: plan.Step) -> None:
        """One stage: reused when its artifact is whole, else made. `StageError` when it fails."""
        clock = time.monotonic()
        try:
            with self.shelf.writing(step.stage.name, step.key, on_wait=lambda: self._waiting(step)):
                manifest = self.shelf.manifest(step.stage.name, step.key)
                reused = manifest is not None
                if manifest is None:
                    manifest = self._make(step)
                self.artifacts[step.name] = self.shelf.read(manifest, step.stage.Output)
        except Exception as cause:
            self._tell(step, "failed", time.monotonic() - clock)
            folder = self.shelf.folder(step.stage.name, step.key)
            failure = StageError(step.name, str(folder), cause)
            self.log.event("error", str(failure), traceback=traceback.format_exc())
            raise failure from cause
        if reused:
            self._compare(step, manifest)
            for warning in manifest.warnings:
                self.log.warning(_of_variant(step, warning))
        took = f"reused {step.key}" if reused else f"done in {manifest.seconds:.1f} s"
        self.log.info(f"{step.name}: {took}", stage=step.name, key=step.key, reused=reused)
        self._tell(step, "reused" if reused else "done", manifest.seconds)

    def judged(self) -> dict[type, Any]:
        """One artifact of each type: of the variant that was chosen, else of the base."""
        base = {type(a): a for n, a in self.artifacts.items() if self.variants[n] == plan.BASE}
        choice = base.get(Choice)
        chosen = {
            type(artifact): artifact
            for name, artifact in self.artifacts.items()
            if choice is not None and self.variants[name] == choice.chosen
        }
        chosen.pop(TrainedModel, None)  # the curves are those of the training
        return base | chosen

    def _compare(self, step: plan.Step, manifest: store.Manifest) -> None:
        """Warns when what is reused was made by other libraries: the report tells today's."""
        now = machine.versions()
        other = [
            f"{name} {version} (now {now.get(name, 'unknown')})"
            for name, version in manifest.versions.items()
            if now.get(name) != version
        ]
        if other:
            self.log.warning(f"{step.name}: reused, and was made with {', '.join(other)}")

    def _waiting(self, step: plan.Step) -> None:
        self.log.info(f"{step.name}: another run is making {step.key}; waiting for it")

    def _tell(self, step: plan.Step, status: str, seconds: float) -> None:
        facts = report.StageFacts(
            name=step.name,
            key=step.key,
            reused=status == "reused",
            seconds=round(seconds, 3),
            status=status,
        )
        self.stages.append(facts)

    def _make(self, step: plan.Step) -> store.Manifest:
        """Runs one stage in an empty folder and commits what it leaves there."""
        self.log.info(f"{step.name}: running {step.key}", stage=step.name, key=step.key)
        clock, num_warnings = time.monotonic(), len(self.log.warnings)
        folder = self.shelf.clear(step.stage.name, step.key)
        inputs = plan.gathered(step.inputs, self.artifacts)
        ctx = Context(
            workdir=folder,
            shared=self.shelf.shared(step.stage.name, step.key),
            places={
                self.artifacts[maker].uri: self.shelf.shared(self.made_by[maker], self.keys[maker])
                for maker in step.makers
            },
            unfinished=self.shelf.unfinished(step.stage.name, step.key),
            callbacks=self.callbacks,
            data_dir=self.config.data_dir,
            seed=self.config.seed,
            hardware=self.hardware,
            log=self.log,
        )
        try:
            output = step.stage.run(step.config, step.stage.Inputs(**inputs), ctx)
        finally:
            self.log.end_tasks()
        if plan.identity(step.stage, step.config, self.config) != step.identity:
            raise ValueError("the source changed while it was read; run the same command again")
        manifest = store.Manifest(
            format=store.FORMAT,
            stage=step.stage.name,
            key=step.key,
            stage_version=step.stage.version,
            created=store.now(),
            seconds=round(time.monotonic() - clock, 3),
            inputs=plan.gathered(step.inputs, self.keys),
            identity=step.identity,
            versions=machine.versions(),
            machine=machine.describe(),
            warnings=tuple(self.log.warnings[num_warnings:]),
            files=self.shelf.contents(step.stage.name, step.key),
            output=asdict(output) | {"uri": "."},
        )
        self.shelf.commit(manifest)
        # Stages do not know for which variant they run; whoever reads the report must.
        self.log.warnings[num_warnings:] = [_of_variant(step, w) for w in manifest.warnings]
        return manifest


def _of_variant(step: plan.Step, warning: str) -> str:
    return warning if step.variant == plan.BASE else f"{step.variant}: {warning}"


def _status(artifacts: dict[type, Any], error: StageError | None) -> Status:
    if error is not None:
        return "failed"
    servable, choice = artifacts.get(Servable), artifacts.get(Choice)
    handoff = artifacts.get(Handoff)
    if handoff is not None and handoff.bundle_dir is None:
        return "refused"
    if choice is not None:
        return "refused" if choice.chosen is None else "blessed"
    if servable is not None and not servable.parity.passed:
        return "refused"
    return "partial"


def _utilisation(artifacts: dict[str, Any], folder: Path) -> Utilisation | None:
    """Of the chips by the training, where a preflight of this run's name lies in its folder."""
    stored = []
    for path in sorted(folder.glob("preflight-*.json")):
        with suppress(ValueError, OSError):
            stored.append(load_result(path))
    trained = [a for a in artifacts.values() if isinstance(a, TrainedModel)]
    return utilisation(trained[0], stored) if trained else None


def _by_type(artifacts: dict[type, Any]) -> dict[str, Any]:
    """The artifacts under the names that the report knows them by."""
    names = {
        ShardSet: "shards",
        TrainedModel: "model",
        Servable: "servable",
        EvalReport: "evaluation",
        Choice: "choice",
        LoadReport: "load",
        Handoff: "handoff",
    }
    return {names[kind]: artifact for kind, artifact in artifacts.items() if kind in names}
