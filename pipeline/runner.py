"""Executes a plan: reuse, run, commit, or fail with the stage named; then writes the report.

A variant of the model that fails is left out, and the run goes on with the others.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..components.contracts import (
    Choice,
    Handoff,
    Judgement,
    TrainedModel,
)
from ..components.stage import Context, Hardware
from . import machine, outcome, plan, report, store
from .config import RunConfig
from .errors import StageError
from .handing_over import hand_over
from .hardware.preflight.result import load_result, model_facts
from .hardware.utilisation import Utilisation, seconds_at_peak, utilisation
from .runlog import RunLog


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How a run ended. `artifacts` holds a contract record for each stage that is done."""

    status: outcome.Status
    folder: Path  # report.html, report.json, events.jsonl, on this machine
    place: str  # <root>/<config name>: the same, where people look for it
    artifacts: dict[str, Any]
    stages: tuple[report.StageFacts, ...]
    error: StageError | None = None
    failed_variants: tuple[report.FailedVariant, ...] = ()  # each is tried again by the next run
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

    Where a stage fails for a variant, the others go on without it; for the model as it was trained,
    or for all workers of a training, the run ends.

    Raises:
        KeyboardInterrupt: passed on, with nothing half-done taken for done.
        OSError: the report of an earlier run cannot be taken away.
    """
    run = _Run(config, store.at(root), log, hardware, callbacks)
    started = store.now()
    folder, place = run.shelf.root / config.name, run.shelf.run_place(config.name)
    report.remove(folder)  # a run that is killed must not leave an older verdict as its own
    run.shelf.withdraw_run(config.name)
    error = run.all(steps)
    status = outcome.status(run.judged(), run.artifacts.values(), error)
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
        failed_variants=tuple(run.failed_variants),
        utilisation=_utilisation(run.artifacts, run.preflights()),
        judgements=run.judgements(),
        **outcome.by_name(run.judged()),
    )
    reported = False
    try:
        if hand_over(run.judged().get(Handoff), place):
            log.info(f"the bundle of an earlier run was taken away from {place}")
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
        failed_variants=tuple(run.failed_variants),
        reported=reported,
    )


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
        shelf: store.Store,
        log: RunLog,
        hardware: Hardware,
        callbacks: tuple[Any, ...],
    ) -> None:
        self.config, self.shelf, self.log, self.hardware = config, shelf, log, hardware
        self.callbacks = callbacks
        self.done: dict[str, plan.Step] = {}  # by name, like all that follows
        self.artifacts: dict[str, Any] = {}
        self.fingerprints: dict[str, str] = {}
        self.stages: list[report.StageFacts] = []
        self.failed_variants: list[report.FailedVariant] = []

    def all(self, steps: tuple[plan.Step, ...]) -> StageError | None:
        """Every step in order; what ended the run, if anything did."""
        left = steps
        while left:
            step = left[0]
            try:
                self.step(step)
            except StageError as failure:
                together = step.stage.workers and self.hardware.num_workers > 1
                if step.variant == plan.BASE or together:
                    return failure
                steps = self._lose(step, failure, steps)
            # Those that are left may have other keys since a variant was lost.
            seen = {facts.name for facts in self.stages}
            left = tuple(step for step in steps if step.name not in seen)
        return None

    def _lose(
        self, step: plan.Step, failure: StageError, steps: tuple[plan.Step, ...]
    ) -> tuple[plan.Step, ...]:
        """The steps of the run that goes on without a variant."""
        left = plan.without(steps, step.name)
        gone = {one.name for one in steps} - {one.name for one in left}
        lost = dict.fromkeys(one.variant for one in steps if one.name in gone)
        for variant in lost:
            own = variant == step.variant
            reason = failure.reason if own else f"is made of {step.variant}, which failed"
            self.failed_variants.append(
                report.FailedVariant(
                    name=variant, stage=step.stage.name if own else None, reason=reason
                )
            )
        self.log.warning(
            f"variant {step.variant} failed in {step.stage.name}, and the run goes on without "
            f"{' and '.join(lost)}: {failure.reason.splitlines()[0]}"
        )
        return left

    def step(self, step: plan.Step) -> None:
        """One stage: reused when its artifact is whole, else made. `StageError` when it fails."""
        clock = time.monotonic()
        try:
            with self.shelf.writing(step.stage.name, step.key, on_wait=lambda: self._waiting(step)):
                manifest = self._stored(step)
                reused = manifest is not None
                if manifest is None:
                    manifest = self._make(step)
                self.fingerprints[step.name] = store.fingerprint(manifest)
                self.artifacts[step.name] = self.shelf.read(manifest, step.stage.Output)
                self.done[step.name] = step
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

    def _stored(self, step: plan.Step) -> store.Manifest | None:
        """Of the artifact that can be reused, if there is one."""
        found = self.shelf.manifest(step.stage.name, step.key)
        if found is None or not plan.outdated(step, found.made_of, self.fingerprints):
            return found
        self.log.info(f"{step.name}: {step.key} is of inputs that were made anew since")
        return None

    def judged(self) -> dict[type, Any]:
        """One artifact of each type: of the variant that was chosen, else of the base."""
        base = {type(a): a for n, a in self.artifacts.items() if self.done[n].variant == plan.BASE}
        choice = base.get(Choice)
        chosen = {
            type(artifact): artifact
            for name, artifact in self.artifacts.items()
            if choice is not None and self.done[name].variant == choice.chosen
        }
        chosen.pop(TrainedModel, None)  # the curves are those of the training
        return base | chosen

    def judgements(self) -> dict[str, Judgement]:
        """By variant."""
        return {
            self.done[name].variant: artifact
            for name, artifact in self.artifacts.items()
            if isinstance(artifact, Judgement)
        }

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

    def _seconds_at_peak(self, **trained: Any) -> Mapping[int, float] | None:
        return seconds_at_peak(self.preflights(), **trained)

    def preflights(self) -> list[Mapping[str, Any]]:
        """Of this config's model, as far as they lie in the folder of the run's name."""
        wanted, found = model_facts(self.config.sections["train"].model), []
        for path in sorted((self.shelf.root / self.config.name).glob(store.PREFLIGHTS)):
            with suppress(ValueError, OSError):
                found.append(load_result(path))
        return [facts for facts in found if facts["model"] == wanted]

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
                self.artifacts[name].uri: self.shelf.shared(maker.stage.name, maker.key)
                for name in step.makers
                for maker in (self.done[name],)
            },
            unfinished=self.shelf.unfinished(step.stage.name, step.key),
            callbacks=self.callbacks,
            seconds_at_peak=self._seconds_at_peak,
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
            inputs=plan.gathered(step.inputs, {n: s.key for n, s in self.done.items()}),
            made_of=plan.gathered(step.inputs, self.fingerprints),
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


def _utilisation(
    artifacts: dict[str, Any], preflights: list[Mapping[str, Any]]
) -> Utilisation | None:
    """Of the chips by the training."""
    trained = [a for a in artifacts.values() if isinstance(a, TrainedModel)]
    return utilisation(trained[0], preflights) if trained else None
