"""Jobs as Dataflow gets them: submitted to a stand-in, with a real emulator for gs://."""

from __future__ import annotations

import hashlib
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google.auth
import google.auth.exceptions
import pytest

from tests.components.running import toy_pipeline
from tests.components.running.dataflow_service import (
    DataflowService,
    dataflow_service,
    sdk_options,
    staged_files,
    staged_pipeline,
)
from tests.components.running.quiet_log import QuietLog
from tpuline.components import files
from tpuline.components.running import runners as running
from tpuline.components.running.config import Dataflow, Running
from tpuline.components.running.dataflow import dataflow_flags, job_link, job_name
from tpuline.components.running.worker_package import package_wheel, write_worker_files

LINK = "https://console.cloud.google.com/dataflow/jobs/europe-west4/job-1?project=proj-x"


@pytest.fixture
def service() -> Iterator[DataflowService]:
    with dataflow_service() as started:
        yield started


def cloud(bucket: str, **changes: Any) -> Running:
    fields = {"project": "proj-x", "region": "europe-west4", "temp_location": f"{bucket}/tmp"}
    return Running(runner="dataflow", num_workers=3, dataflow=Dataflow(**fields | changes))


def submit(config: Running, log: QuietLog | None = None) -> None:
    running.run(toy_pipeline.builder(Path("/tmp")), config, log=log or QuietLog(), name="toy")


def test_job_carries_the_config_our_wheel_and_no_main_session(
    gcs_emulator: str, service: DataflowService
) -> None:
    log = QuietLog()
    config = cloud(
        gcs_emulator,
        staging_location=f"{gcs_emulator}/staging",
        machine_type="n2-standard-4",
        max_num_workers=20,
        subnetwork="regions/europe-west4/subnetworks/inner",
        network="inner",
        use_public_ips=False,
        service_account="worker@proj-x.iam.gserviceaccount.com",
        sdk_container_image="europe-docker.pkg.dev/proj-x/images/worker:1",
        disk_size_gb=50,
        labels={"team": "nlp"},
        endpoint=service.endpoint,
    )
    service.say("BASIC", "Starting 3 workers")
    submit(config, log)

    (job,) = service.jobs
    (pool,) = job["environment"]["workerPools"]
    assert job["name"].startswith("tpuline-toy-")
    assert job["labels"] == {"team": "nlp"}
    assert pool["numWorkers"] == 3
    assert pool["machineType"] == "n2-standard-4"
    assert pool["diskSizeGb"] == 50
    assert (pool["network"], pool["subnetwork"]) == ("inner", config.dataflow.subnetwork)
    assert pool["ipConfiguration"] in (2, "WORKER_IP_PRIVATE")
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 20
    assert pool["autoscalingSettings"]["algorithm"] in (2, "AUTOSCALING_ALGORITHM_BASIC")
    assert job["environment"]["serviceAccountEmail"] == config.dataflow.service_account

    content = files.read_bytes(sdk_options(job)["pipelineUrl"])
    assert sdk_options(job)["pipelineUrl"].startswith(f"{gcs_emulator}/staging/")
    assert hashlib.sha256(content).hexdigest() == sdk_options(job)["pipelineProtoHash"]
    pipeline = staged_pipeline(job)
    names = {step.unique_name.split("/")[0] for step in pipeline.components.transforms.values()}
    assert {"Numbers", "Spread", "Work", "Gather", "Save"} <= names
    (environment,) = pipeline.components.environments.values()
    assert environment.urn == "beam:env:docker:v1"
    assert config.dataflow.sdk_container_image.encode() in environment.payload

    staged = staged_files(pipeline)
    wheel, expected = package_wheel()
    assert files.read_bytes(staged[wheel]) == expected
    assert not [name for name in staged if "session" in name or "requirements.txt" in name]
    assert f"Dataflow job job-1: {LINK}" in log.infos
    assert "Dataflow: Starting 3 workers" in log.infos


def test_stock_image_gets_requirements_without_full_tensorflow(
    gcs_emulator: str, tmp_path: Path
) -> None:
    """A dry run: Beam checks its cloud options only when the endpoint is Google's."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    flags = dataflow_flags(cloud(gcs_emulator), "tpuline-toy-1", write_worker_files(tmp_path))
    pipeline = beam.Pipeline(options=PipelineOptions([*flags, "--dry_run=True"]))
    toy_pipeline.builder(tmp_path)(pipeline)
    proto = pipeline.run().job.proto_pipeline
    staged = staged_files(proto)
    (shim,) = [name for name in staged if name.startswith("tensorflow-")]
    version = shim.split("-")[1]
    assert version.endswith("+cpu")
    assert f"tensorflow=={version}" in Path(staged["requirements.txt"]).read_text().splitlines()
    assert all(".dist-info/" in name for name in zipfile.ZipFile(staged[shim]).namelist())
    assert package_wheel()[0] in staged
    assert not [name for name in staged if "session" in name]
    (environment,) = proto.components.environments.values()
    assert b"beam_python3" in environment.payload


@pytest.mark.slow
def test_failed_job_is_told_with_its_link_and_last_message(
    gcs_emulator: str, service: DataflowService
) -> None:
    service.outcome = lambda job: "JOB_STATE_FAILED"
    service.say("ERROR", "the workers have no way to the bucket")
    log = QuietLog()
    with pytest.raises(RuntimeError, match="the workers have no way to the bucket") as failure:
        submit(cloud(gcs_emulator, endpoint=service.endpoint), log)
    assert LINK in str(failure.value)
    assert "Dataflow: the workers have no way to the bucket" in log.warnings


@pytest.mark.slow
def test_interrupt_says_that_the_job_goes_on_and_how_to_end_it(
    gcs_emulator: str, service: DataflowService
) -> None:
    import _thread

    def interrupt(job: dict[str, Any]) -> str:
        service.asked.wait(30)
        _thread.interrupt_main()
        interrupted.wait(30)
        return "JOB_STATE_DONE"

    service.outcome, interrupted, log = interrupt, threading.Event(), QuietLog()
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        submit(cloud(gcs_emulator, endpoint=service.endpoint), log)
    (warning,) = log.warnings
    assert f"goes on: {LINK}" in warning
    assert warning.endswith("jobs cancel job-1 --project=proj-x --region=europe-west4")
    interrupted.set()
    for thread in set(threading.enumerate()) - before:  # Beam's goes on asking
        if "poll_for_job_completion" in thread.name:
            thread.join(30)


def test_libraries_that_are_not_installed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.storage", None)
    with pytest.raises(ValueError, match=r"received none; pip install 'tpuline\[gcp\]'"):
        running.check(cloud("gs://bucket"))


def test_without_credentials_nothing_is_submitted(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise google.auth.exceptions.DefaultCredentialsError("none")

    monkeypatch.setattr(google.auth, "default", none)
    with pytest.raises(RuntimeError, match="no credentials of Google Cloud; log in: gcloud"):
        submit(cloud("gs://bucket"))


def test_submission_that_fails_says_where_to_look(
    gcs_emulator: str, service: DataflowService
) -> None:
    service.status = 403
    with pytest.raises(RuntimeError, match="could not be submitted to proj-x"):
        submit(cloud(gcs_emulator, endpoint=service.endpoint))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Demo_v1.2", "tpuline-demo-v1-2-ab12"),
        ("--", "tpuline-ab12"),
        ("x" * 100, f"tpuline-{'x' * 50}-ab12"),
    ],
)
def test_job_names_are_ones_that_dataflow_takes(name: str, expected: str) -> None:
    assert job_name(name, "ab12") == expected
    assert len(expected) <= 63


def test_link_leads_to_the_job() -> None:
    assert job_link(Dataflow(project="proj-x", region="europe-west4"), "job-1") == LINK
