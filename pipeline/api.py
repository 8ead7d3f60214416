"""What notebooks and tests call: load, check, plan, run, open_artifact.

>>> from tpuline.pipeline import api
>>> config = api.load("configs/demo.yaml", overrides=["train.epochs=2"])
>>> result = api.run(config, root="runs")
>>> print(result.status, result.report_html)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..components import files
from ..components.contracts import ShardSet
from . import config as config_module
from . import follower, pulse, report, runner, stages, store, why
from . import plan as plan_module
from .config import RunConfig
from .errors import ConfigError, StageError
from .hardware.strategy import ConfiguredHardware
from .predicting import follow, predict
from .runlog import RunLog
from .runner import RunResult
from .serving import accept, promote, rollback

if TYPE_CHECKING:
    from .hardware.preflight.result import Result

__all__ = [
    "ConfigError",
    "PlannedStep",
    "RunConfig",
    "RunResult",
    "StageError",
    "accept",
    "check",
    "follow",
    "load",
    "open_artifact",
    "plan",
    "predict",
    "preflight",
    "promote",
    "read_report",
    "rollback",
    "run",
    "write_worker_files",
]

DEFAULT_ROOT = "runs"


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """One line of a plan. `reason` says why the stage would run; None means reuse."""

    stage: str
    key: str
    reason: str | None


def load(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Reads a config file; `overrides` are `a.b=value` with the value in YAML.

    Raises:
        ConfigError: names every problem with its YAML path.
    """
    return config_module.load(path, overrides)


def check(config: RunConfig) -> None:
    """Validates all that can be validated without running: files, columns, combinations.

    Raises:
        ConfigError: names every problem with its YAML path.
    """
    config_module.check(config)


def plan(
    config: RunConfig, *, root: str | Path = DEFAULT_ROOT, until: str | None = None
) -> tuple[PlannedStep, ...]:
    """What `run` would do now. Reads source files for their digests; writes nothing.

    Raises:
        ConfigError: a source is missing, the bucket cannot be read, or `until` is no stage.
    """
    planned: list[PlannedStep] = []
    rerun: frozenset[str] = frozenset()
    fingerprints: dict[str, str] = {}
    steps = _steps(config, until)
    with _as_config_error(config):
        shelf = store.at(root)
        for step in steps:
            reason = why.explain(step, shelf, rerun, fingerprints)
            found = shelf.manifest(step.stage.name, step.key)
            if reason is not None or found is None:
                rerun |= {step.name}
            else:
                fingerprints[step.name] = store.fingerprint(found)
            planned.append(PlannedStep(stage=step.name, key=step.key, reason=reason))
    return tuple(planned)


def run(
    config: RunConfig,
    *,
    root: str | Path = DEFAULT_ROOT,
    until: str | None = None,
    log: RunLog | None = None,
    callbacks: Sequence[Any] = (),
) -> RunResult:
    """Runs what is not stored yet and writes `<root>/<name>/report.html` and `report.json`.

    The root is a folder, or gs://bucket/folder. `callbacks` are Keras callbacks of your own for
    `fit`. They see a window of steps as one batch, and are no part of what makes a model another
    one: a model that is stored already is not trained again for them.

    A stage that fails is told by `result.error`, a model that the gates refuse by
    `result.status == "refused"`; neither raises.

    Raises:
        ConfigError: a source is missing, the root cannot be written, the hardware is not there, or
            `until` is no stage.
    """
    hardware = ConfiguredHardware(config.hardware)
    runner.set_up_libraries()
    with _as_config_error(config):
        shelf = store.at(root)
        shelf.prepare()
    plan_module.check_until(until)
    with _as_config_error(config):
        worker, num_workers = hardware.worker_index, hardware.num_workers
    with log or _log(shelf, config, worker) as open_log:
        with _as_config_error(config, RuntimeError):
            for stage in stages.table():
                stage.fetch(config.sections[stage.name], config.data_dir, open_log)
            check(config)
            steps = _steps(config, until)
            if any("hardware" in step.stage.uses and not _stored(step, shelf) for step in steps):
                # Before any other stage: devices are set up before TensorFlow is first used, and a
                # chip that is not there is told before hours of preprocessing.
                if num_workers > 1:
                    open_log.info(
                        f"worker {worker} of {num_workers}: waiting for all that TF_CONFIG names"
                    )
                hardware.start()
        with_these: dict[str, Any] = {"hardware": hardware, "callbacks": tuple(callbacks)}
        if worker:
            return follower.follow(config, steps, root=str(root), log=open_log, **with_these)
        others = num_workers > 1
        with pulse.beating(shelf.run_place(config.name)) if others else nullcontext():
            return runner.execute(config, steps, root=root, log=open_log, **with_these)


def preflight(
    config: RunConfig,
    *,
    chip: str,
    root: str | Path = DEFAULT_ROOT,
    find_batch: bool = False,
    log: RunLog | None = None,
) -> Result:
    """Compiles the train step for a TPU that need not be there; minutes for each width of batches.

    Sizes are those of the config's finished `preprocess` under `root`, else of the config. What is
    found is also written to `<root>/<name>/preflight-<chip>.json`. A step that does not fit is a
    result, `result.fits`.

    Raises:
        ConfigError: no such chip, or a config that cannot run on it.
        RuntimeError: the compiler cannot be had, or failed.
    """
    from .hardware.preflight import result as results
    from .hardware.preflight import run as preflight_run

    with _as_config_error(config), log or RunLog() as open_log:
        result = preflight_run.preflight(
            config,
            chip=chip,
            shards=_finished_shards(config, root),
            find_batch=find_batch,
            log=open_log,
        )
        place = files.join(str(root), config.name, f"preflight-{result.chip}.json")
        if not files.is_remote(place):
            Path(place).parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(place, results.dumps(result).encode())
    return result


def _finished_shards(config: RunConfig, root: str | Path) -> ShardSet | None:
    """What `preprocess` made of this config; None without it, or without its source here."""
    try:
        step = plan_module.make(config, until="preprocess")[-1]
        manifest = store.at(root).manifest(step.stage.name, step.key)
    except (ValueError, OSError):
        return None
    return None if manifest is None else store.record(manifest, ShardSet, uri="")


def open_artifact(path: str | Path) -> Any:
    """The contract record of a stored artifact: `<root>/<stage>/<key>`.

    Raises:
        ValueError: there is no finished, undamaged artifact.
    """
    root, stage_name, key = _split_artifact(str(path))
    problem = ""
    for stage in stages.table():
        if stage.name == stage_name:
            shelf = store.at(root)
            try:
                manifest = shelf.manifest(stage_name, key)
                if manifest is not None:
                    return shelf.read(manifest, stage.Output)
            except OSError as error:
                problem = f" ({error})"
    raise ValueError(
        f"path: must be a finished artifact, <root>/<stage>/<key>; received {path}{problem}; "
        f"stages: {', '.join(stage.name for stage in stages.table())}"
    )


def read_report(path: str | Path) -> dict[str, Any]:
    """report.json of a run, from the file itself or from its folder `<root>/<config name>`.

    Raises:
        ValueError: there is none.
    """
    try:
        facts = json.loads(files.read_bytes(_report_file(str(path))))
        if not isinstance(facts, dict) or facts.get("format") != report.FORMAT:
            raise ValueError(f"no report of format {report.FORMAT}")
    except (OSError, ValueError) as error:
        raise ValueError(
            "PATH: must be a run that ended, <root>/<config name>, or data, "
            f"<root>/preprocess/<key>; received {path} ({error}); run the config again"
        ) from error
    return facts


def write_worker_files(folder: str | Path) -> tuple[Path, ...]:
    """Writes what workers on other machines need: wheels, requirements.txt, Dockerfile.

    Raises:
        ConfigError: the folder cannot be written, or there is no TensorFlow to name a version of.
    """
    from ..components.running import worker_package

    try:
        made = worker_package.write_worker_files(Path(folder))
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            [f"DIR: must be a folder that can be written; received {folder} ({error})"],
            source="worker-files",
        ) from error
    return made.wheel, made.tensorflow_wheel, made.requirements, made.dockerfile


def _log(shelf: store.Store, config: RunConfig, worker: int) -> RunLog:
    try:
        folder = shelf.start_run(config.name)
    except OSError as error:
        raise ConfigError(
            [
                f"name: {shelf.run_place(config.name)} must be a folder that can be written "
                f"({error.strerror or error})"
            ],
            source=config.name,
        ) from error
    return RunLog(events=folder / (f"events-worker-{worker}.jsonl" if worker else store.EVENTS))


@contextmanager
def _as_config_error(config: RunConfig, *also: type[Exception]) -> Iterator[None]:
    """What is wrong before anything ran, as the command line tells it."""
    kinds: tuple[type[Exception], ...] = (ValueError, OSError, *also)
    try:
        yield
    except ConfigError as error:
        raise ConfigError(error.problems, source=config.name) from error
    except kinds as error:
        raise ConfigError([str(error)], source=config.name) from error


def _split_artifact(path: str) -> tuple[str, str, str]:
    """The root, the stage and the key."""
    if files.is_remote(path):
        root, stage, key = path.rstrip("/").rsplit("/", 2)
        return root, stage, key
    folder = Path(path).absolute()
    return str(folder.parent.parent), folder.parent.name, folder.name


def _report_file(path: str) -> str:
    in_folder = not path.endswith(".json") if files.is_remote(path) else Path(path).is_dir()
    return files.join(path, "report.json") if in_folder else path


def _stored(step: plan_module.Step, shelf: store.Store) -> bool:
    return shelf.manifest(step.stage.name, step.key) is not None


def _steps(config: RunConfig, until: str | None) -> tuple[plan_module.Step, ...]:
    try:
        return plan_module.make(config, until=until)
    except (ValueError, OSError) as error:
        raise ConfigError([str(error)], source=config.name) from error
