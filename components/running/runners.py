"""Runs a Beam pipeline where the config says: here, in processes, by a job service, on Dataflow."""

from __future__ import annotations

import importlib.util
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..stage import Log
from .config import Portable, Running
from .worker_package import write_worker_files

CONNECT_S = 20
JOB_S = 30 * 24 * 3600  # Beam takes `job_server_timeout` for a job's streams of news as well
Build = Callable[[Any], None]  # adds the steps to a beam.Pipeline


def check(running: Running) -> None:
    """`ValueError` for a runner that is not installed. Imports none of it."""
    if running.runner == "dataflow" and not _has_module("google.cloud.storage"):
        raise ValueError(
            "runner: dataflow must have its libraries installed; received none; "
            "pip install 'tpuline[gcp]'"
        )


def run(build: Build, running: Running, *, log: Log, name: str) -> None:
    """Builds the pipeline and waits until it is done. `name` is what a job is called elsewhere.

    Raises:
        RuntimeError: it failed, in whatever way the runner fails.
    """
    # Runners are named, because Beam's default looks for one to download; options are given, for
    # those on the command line are not Beam's.
    with _quiet(), _plain_labels():
        if running.runner == "dataflow":
            from . import dataflow

            dataflow.run(build, running, log=log, name=name)
        elif running.runner == "portable":
            _run_portable(build, running.portable)
        else:
            _run_here(build, running)


def _run_here(build: Build, running: Running) -> None:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    if running.runner == "processes":
        from . import processes

        runner, options = processes.runner_and_options(running.num_workers)
    else:
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        runner, options = FnApiRunner(), PipelineOptions([])
    with beam.Pipeline(runner=runner, options=options) as pipeline:
        build(pipeline)


def _run_portable(build: Build, portable: Portable) -> None:
    import apache_beam as beam
    import grpc  # type: ignore[import-untyped]
    from apache_beam.options.pipeline_options import PipelineOptions

    try:
        with grpc.insecure_channel(str(portable.endpoint)) as channel:
            grpc.channel_ready_future(channel).result(timeout=CONNECT_S)
    except grpc.FutureTimeoutError as error:
        raise RuntimeError(
            f"preprocess.portable.endpoint: nothing answers at {portable.endpoint} within "
            f"{CONNECT_S} s; start the job service"
        ) from error
    with tempfile.TemporaryDirectory(prefix="tpuline-worker-") as folder:
        pipeline = beam.Pipeline(options=PipelineOptions(portable_flags(portable, Path(folder))))
        build(pipeline)
        result = pipeline.run()
    try:
        result.wait_until_finish()
    except KeyboardInterrupt:
        result.cancel()
        raise


def portable_flags(portable: Portable, folder: Path) -> list[str]:
    """Beam's options for a job service. Nothing of `__main__` is ever sent along.

    Containers are sent our wheel, which is left in `folder`; other workers have us installed.
    """
    config = portable.environment_config
    in_containers = portable.environment == "docker"
    return [
        "--runner=PortableRunner",
        f"--job_endpoint={portable.endpoint}",
        f"--job_server_timeout={JOB_S}",
        f"--environment_type={portable.environment.upper()}",
        *([] if config is None else [f"--environment_config={config}"]),
        *([f"--extra_package={write_worker_files(folder).wheel}"] if in_containers else []),
        "--no_save_main_session",
    ]


def _has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # one of its parents
        return False


@contextmanager
def _plain_labels() -> Iterator[None]:
    """Steps are called the same everywhere. In a notebook Beam prepends the number of its cell to
    those of the user's own pipelines, and to look for them imports pandas, which it does not ask
    for: `apache_beam.utils.interactive_utils`.
    """
    from apache_beam import pipeline

    before = pipeline.alter_label_if_ipython
    pipeline.alter_label_if_ipython = lambda transform, pvalueish: None
    try:
        yield
    finally:
        pipeline.alter_label_if_ipython = before


@contextmanager
def _quiet() -> Iterator[None]:
    """What goes wrong is raised; Beam's loggers repeat it, with tracebacks of its own threads."""
    logger = logging.getLogger("apache_beam")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def no_warnings() -> Iterator[None]:
    """For what Beam warns of when it is imported, or has loaded a model, and nobody can mend."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)
