"""Runs the pipeline as a Dataflow job: options from the config, our wheel sent along."""

from __future__ import annotations

import logging
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..stage import Log
from .config import Dataflow, Running
from .worker_package import WorkerFiles, write_worker_files

_AUTOSCALING = {"throughput": "THROUGHPUT_BASED", "none": "NONE"}
MAX_NAME = 63


def run(build: Callable[[Any], None], running: Running, *, log: Log, name: str) -> None:
    """Submits the job and waits for its end.

    Raises:
        RuntimeError: it could not be submitted, failed, or was cancelled.
        KeyboardInterrupt: passed on; the job goes on, and the log says how to end it.
    """
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    _check_credentials()
    log.info(f"submitting a Dataflow job to {running.dataflow.project}, {running.dataflow.region}")
    with tempfile.TemporaryDirectory(prefix="tpuline-worker-") as folder:
        worker_files = write_worker_files(Path(folder))
        flags = dataflow_flags(running, job_name(name, uuid.uuid4().hex[:8]), worker_files)
        pipeline = beam.Pipeline(options=PipelineOptions(flags))
        build(pipeline)
        result = _submit(pipeline, running.dataflow)
    link = job_link(running.dataflow, result.job_id())
    log.info(f"Dataflow job {result.job_id()}: {link}", job_id=result.job_id(), link=link)
    _wait(result, running.dataflow, link, log)


def dataflow_flags(running: Running, name: str, worker_files: WorkerFiles) -> list[str]:
    """Beam's options for the job. Nothing of `__main__` is ever sent along.

    With Beam's own image workers install `requirements.txt` when they start; with an image of ours
    they find it installed.
    """
    config = running.dataflow
    given = {
        "project": config.project,
        "region": config.region,
        "temp_location": config.temp_location,
        "staging_location": config.staging_location or config.temp_location,
        "job_name": name,
        "num_workers": running.num_workers,
        "max_num_workers": config.max_num_workers,
        "autoscaling_algorithm": _AUTOSCALING[config.autoscaling],
        "machine_type": config.machine_type,
        "network": config.network,
        "subnetwork": config.subnetwork,
        "service_account_email": config.service_account,
        "disk_size_gb": config.disk_size_gb,
        "dataflow_endpoint": config.endpoint,
        "sdk_container_image": config.sdk_container_image,
    }
    flags = [f"--{option}={value}" for option, value in given.items() if value is not None]
    flags += [f"--label={key}={value}" for key, value in sorted(config.labels.items())]
    flags += ["--runner=DataflowRunner", "--no_save_main_session"]
    flags += [f"--extra_package={worker_files.wheel}"]
    if not config.use_public_ips:
        flags.append("--no_use_public_ips")
    if config.sdk_container_image is None:
        flags += [
            f"--extra_package={worker_files.tensorflow_wheel}",
            f"--requirements_file={worker_files.requirements}",
            "--requirements_cache=skip",  # gigabytes that workers get faster than this machine
        ]
    else:
        flags.append("--sdk_location=container")
    return flags


def job_name(name: str, suffix: str) -> str:
    """A name that Dataflow takes: lower-case letters, digits and '-', from a letter to no '-'."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    start = f"tpuline-{plain}"[: MAX_NAME - len(suffix) - 1].rstrip("-")
    return f"{start}-{suffix}"


def job_link(config: Dataflow, job_id: str) -> str:
    """Where the job is seen in a browser."""
    place = f"https://console.cloud.google.com/dataflow/jobs/{config.region}/{job_id}"
    return f"{place}?project={config.project}"


def _check_credentials() -> None:
    """Beam itself would try again and again, for a quarter of an hour, without a word."""
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        google.auth.default()
    except DefaultCredentialsError as error:
        raise RuntimeError(
            "the Dataflow job could not be submitted: there are no credentials of Google Cloud; "
            "log in: gcloud auth application-default login"
        ) from error


def _submit(pipeline: Any, config: Dataflow) -> Any:
    try:
        return pipeline.run()
    except Exception as error:  # of as many libraries as the way to the service has
        raise RuntimeError(
            f"the Dataflow job could not be submitted to {config.project}, {config.region}: "
            f"{error}; check preprocess.dataflow, and that "
            "`gcloud auth application-default print-access-token` prints a token"
        ) from error


def _wait(result: Any, config: Dataflow, link: str, log: Log) -> None:
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRuntimeException

    try:
        with _passing_on(log):
            result.wait_until_finish()
    except KeyboardInterrupt:
        log.warning(
            f"the Dataflow job goes on: {link}; to end it: gcloud dataflow jobs cancel "
            f"{result.job_id()} --project={config.project} --region={config.region}"
        )
        raise
    except DataflowRuntimeException as error:
        raise RuntimeError(f"the Dataflow job failed: {link}; {error}") from error


class _JobMessages(logging.Handler):
    """What Dataflow says of a job, which Beam tells its logger, as lines of the run log."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        _, _, text = message.partition("JOB_MESSAGE_")
        if text:  # 2026-11-24T12:00:00Z: JOB_MESSAGE_BASIC: Starting 3 workers
            tell = self._log.warning if record.levelno >= logging.WARNING else self._log.info
            tell(f"Dataflow: {text.partition(': ')[2]}")


@contextmanager
def _passing_on(log: Log) -> Iterator[None]:
    logger = logging.getLogger("apache_beam.runners.dataflow.dataflow_runner")
    handler, level, propagate = _JobMessages(log), logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
