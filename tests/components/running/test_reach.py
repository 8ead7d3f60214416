"""Workers with disks of their own: what they cannot get at is refused before they are started."""

from __future__ import annotations

from typing import Any

import pytest

from tpuline.components.reading.source import Source
from tpuline.components.running.config import Dataflow, Portable, Running
from tpuline.components.running.reach import check_source, check_store

CLOUD = {"project": "proj-x", "region": "europe-west4", "temp_location": "gs://bucket/tmp"}
DATAFLOW = Running(runner="dataflow", dataflow=Dataflow(**CLOUD))
IMAGE = Running(runner="dataflow", dataflow=Dataflow(**CLOUD, sdk_container_image="a/b:1"))
CONTAINERS = Running(
    runner="portable",
    portable=Portable(endpoint="host:1", environment="docker", environment_config="a/b:1"),
)
POOL = Running(
    runner="portable",
    portable=Portable(endpoint="host:1", environment="external", environment_config="host:2"),
)
SHARING = [Running(), Running(runner="processes", num_workers=2), POOL]


@pytest.mark.parametrize("running", [DATAFLOW, IMAGE, CONTAINERS])
@pytest.mark.parametrize(
    ("places", "data_dir", "field", "words"),
    [
        ({"train": "a.csv"}, "data", "train", "must be in a bucket"),
        ({"train": "a.csv", "test": "/b.csv"}, "gs://b/data", "test", "must be in a bucket"),
        ({"train": ("gs://b/a.csv", "a.csv")}, "data", "train", "received 'a.csv'"),
        ({"train": "tfds:imdb_reviews[train]"}, "gs://b/data", "train", "must not be of tfds:"),
    ],
)
def test_texts_on_this_machine_are_refused(
    running: Running, places: dict[str, Any], data_dir: str, field: str, words: str
) -> None:
    with pytest.raises(ValueError, match=rf"^preprocess\.source\.{field}: .*; \w+") as error:
        check_source(running, Source(**places), data_dir)
    assert words in str(error.value)
    for other in SHARING:
        check_source(other, Source(**places), data_dir)


@pytest.mark.parametrize("running", [DATAFLOW, CONTAINERS])
def test_texts_within_reach_pass(running: Running) -> None:
    check_source(running, Source(train="sample:support"), "data")
    check_source(running, Source(train="a.csv", test="bigquery:proj-x.set.table"), "gs://b/data")
    check_source(running, Source(train=("gs://b/a.csv", "gs://b/b*.csv")), "data")


def test_function_needs_an_image_that_holds_it() -> None:
    source = Source(train="gs://b/a.csv", function="mine:clean")
    with pytest.raises(ValueError, match=r"^preprocess\.source\.function: .*; use in_process") as e:
        check_source(DATAFLOW, source, "data")
    assert "preprocess.dataflow.sdk_container_image" in str(e.value)
    for running in (IMAGE, CONTAINERS, *SHARING):
        check_source(running, source, "data")


def test_containers_need_a_store_in_a_bucket() -> None:
    with pytest.raises(ValueError, match=r"^--root: must be in a bucket .*; received /runs; give"):
        check_store(CONTAINERS, "/runs")
    check_store(CONTAINERS, "gs://b/runs")
    for running in (DATAFLOW, *SHARING):
        check_store(running, "/runs")
