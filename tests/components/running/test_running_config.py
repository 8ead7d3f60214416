"""Where the pipeline may run: what is refused, and in which words."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tpuline.components.running.config import (
    REFUSED,
    Dataflow,
    Portable,
    Running,
)

CLOUD = {"project": "proj-x", "region": "europe-west4", "temp_location": "gs://bucket/tmp"}


@pytest.mark.parametrize("name", [*REFUSED, "DaskRunner", "SparkRunner", "beam"])
def test_runner_of_another_name_is_refused_with_a_way_out(name: str) -> None:
    with pytest.raises(ValueError, match=r"^runner: must be one of .*; received .*; \w+") as error:
        Running(runner=name)
    reason = REFUSED.get(name.lower().removesuffix("runner"))
    assert reason is None or reason in str(error.value)


def test_beams_own_name_of_a_runner_leads_to_ours() -> None:
    with pytest.raises(ValueError, match="did you mean dataflow"):
        Running(runner="DataflowRunner")


@pytest.mark.parametrize("runner", ["in_process", "portable"])
def test_runner_that_takes_no_number_of_workers_refuses_one(runner: str) -> None:
    with pytest.raises(ValueError, match=f"^num_workers: must be 1 when runner is {runner}"):
        Running(runner=runner, num_workers=2, portable=Portable(endpoint="host:1"))


def test_number_of_workers_is_at_least_one() -> None:
    with pytest.raises(ValueError, match=r"^num_workers: must be from 1"):
        Running(runner="processes", num_workers=0)


def test_portable_needs_the_address_of_a_job_service() -> None:
    with pytest.raises(ValueError, match=r"^portable\.endpoint: must be given"):
        Running(runner="portable")


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"endpoint": "localhost"}, "endpoint"),
        ({"environment": "external"}, "environment_config"),
        ({"environment": "external", "environment_config": "nobody"}, "environment_config"),
        ({"environment": "docker"}, "environment_config"),
        ({"environment_config": "host:1"}, "environment_config"),
    ],
)
def test_portable_refuses_what_cannot_work(fields: dict[str, Any], key: str) -> None:
    with pytest.raises(ValueError, match=f"^{key}: must be .*; received "):
        Portable(**{"endpoint": "host:8099", **fields})


@pytest.mark.parametrize("missing", sorted(CLOUD))
def test_dataflow_needs_project_region_and_a_bucket(missing: str) -> None:
    fields = {name: value for name, value in CLOUD.items() if name != missing}
    with pytest.raises(ValueError, match=rf"^dataflow\.{missing}: must be given"):
        Running(runner="dataflow", dataflow=Dataflow(**fields))


def test_dataflow_section_may_stand_by_while_another_runner_works() -> None:
    assert Running(dataflow=Dataflow(project="proj-x")).runner == "in_process"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("project", "Proj X"),
        ("region", "europe"),
        ("temp_location", "/tmp/here"),
        ("temp_location", "gs://ab/tmp"),
        ("temp_location", "gs://bucket"),
        ("staging_location", "s3://bucket/tmp"),
        ("subnetwork", "default"),
        ("service_account", "me"),
        ("max_num_workers", 0),
        ("disk_size_gb", 10),
        ("labels", {"Team": "nlp"}),
        ("labels", {"team": "n l p"}),
        ("endpoint", "localhost:80"),
    ],
)
def test_dataflow_refuses_what_the_service_would(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{key}: must be .*; received .*; \w+"):
        Dataflow(**{**CLOUD, key: value})


def test_workers_without_internet_need_an_image() -> None:
    with pytest.raises(ValueError, match=r"^sdk_container_image: must be given"):
        Dataflow(use_public_ips=False)
    assert Dataflow(use_public_ips=False, sdk_container_image="a/b:1").use_public_ips is False


def test_first_workers_are_not_more_than_the_most() -> None:
    with pytest.raises(ValueError, match=re.escape("dataflow.max_num_workers: must be at least")):
        Running(runner="dataflow", num_workers=5, dataflow=Dataflow(**CLOUD, max_num_workers=4))
