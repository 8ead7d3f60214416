"""What a worker other than the chief does in a run: it trains along, and waits for all else.

It writes nothing under the root but its events; the chief's artifacts are the run's.
"""

from __future__ import annotations

import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..components import files
from ..components.stage import Context, Hardware
from . import plan, store
from .config import RunConfig
from .errors import StageError
from .outcome import Status
from .pulse import Listener
from .runlog import RunLog
from .runner import RunResult

_LOOK_EVERY_S = 1.0


def follow(
    config: RunConfig,
    steps: tuple[plan.Step, ...],
    *,
    root: str,
    log: RunLog,
    hardware: Hardware,
    callbacks: tuple[Any, ...] = (),
) -> RunResult:
    """Up to and with the last stage that all workers run. The root must be the chief's.

    It waits until the chief has ended its run, well or not: its report tells. A chief that was
    killed while it is waited for is missed after some minutes.
    """
    shelf = store.at(root)
    place = shelf.run_place(config.name)
    report = files.join(place, "report.json")
    before = _content(report)  # of an earlier run
    artifacts: dict[str, Any] = {}
    error: StageError | None = None
    last = max((i for i, step in enumerate(steps) if step.stage.workers), default=-1)
    for step in steps[: last + 1]:
        try:
            if step.stage.workers and shelf.manifest(step.stage.name, step.key) is None:
                _along(config, step, shelf, artifacts, log, hardware, callbacks)
            else:
                chief = Listener(place)
                artifacts[step.name] = _awaited(
                    step, shelf, log, chief, lambda: _content(report) in (None, before)
                )
        except Exception as cause:
            error = StageError(step.name, shelf.shared(step.stage.name, step.key), cause)
            log.event("error", str(error), traceback=traceback.format_exc())
            break
    status: Status = "failed" if error else "partial"
    return RunResult(
        status=status,
        folder=shelf.root / config.name,
        place=place,
        artifacts=artifacts,
        stages=(),
        error=error,
        reported=False,
    )


def _content(path: str) -> bytes | None:
    try:
        return files.read_bytes(path)
    except FileNotFoundError:
        return None


def _awaited(
    step: plan.Step,
    shelf: store.Store,
    log: RunLog,
    chief: Listener,
    is_running: Callable[[], bool],
) -> Any:
    """The chief's artifact, as soon as it is there."""
    manifest = shelf.manifest(step.stage.name, step.key)
    if manifest is None:
        log.info(f"{step.name}: waiting for {step.key}, which the chief makes", stage=step.name)
    while manifest is None:
        ended = not is_running()
        manifest = shelf.manifest(step.stage.name, step.key)
        if manifest is None and ended:
            raise RuntimeError(
                "the chief has ended its run without it; its log and report tell why; start all "
                "workers again"
            )
        if manifest is None:
            chief.check()
        time.sleep(_LOOK_EVERY_S)
    return shelf.read(manifest, step.stage.Output)


def _along(
    config: RunConfig,
    step: plan.Step,
    shelf: store.Store,
    artifacts: dict[str, Any],
    log: RunLog,
    hardware: Hardware,
    callbacks: tuple[Any, ...],
) -> None:
    """Runs a stage together with the chief. What it writes here goes away."""
    log.info(f"{step.name}: running {step.key} along with the chief", stage=step.name)
    with tempfile.TemporaryDirectory(prefix="tpuline-worker-") as folder:
        ctx = Context(
            workdir=Path(folder),
            unfinished=shelf.unfinished(step.stage.name, step.key),
            callbacks=callbacks,
            data_dir=config.data_dir,
            seed=config.seed,
            hardware=hardware,
            log=log,
        )
        inputs = plan.gathered(step.inputs, artifacts)
        try:
            step.stage.run(step.config, step.stage.Inputs(**inputs), ctx)
        finally:
            log.end_tasks()
