"""Who runs a Beam pipeline: the runner and what belongs to it, as config says. Pure.

Nothing here belongs to the cache key: the bytes of the result do not depend on who computes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

RUNNERS = ("in_process", "processes", "portable", "dataflow")
REFUSED = {
    "dask": "Beam's Dask runner loses rows without an error; use processes on one machine",
    "direct": "Beam's direct runner looks for a program to download; use in_process",
    "prism": "Prism is a program to download; start it yourself and use portable with its address",
    "spark": "use portable with the address of Spark's Beam job service in portable.endpoint",
    "flink": "use portable with the address of Flink's Beam job service in portable.endpoint",
    "pyspark": "its Beam runner was made for Beam 2.48 and fails at steps used here; use portable",
    "ray": "no Beam runner for Ray is published; use processes or portable",
}
_ENDPOINT = re.compile(r"[A-Za-z0-9._-]+:[0-9]{1,5}")
_PROJECT = re.compile(r"[a-z][-a-z0-9:.]+[a-z0-9]")
_REGION = re.compile(r"[a-z]+(-[a-z]+)+[0-9]+")
_FOLDER = re.compile(r"gs://[a-z0-9][-_a-z0-9.]+[a-z0-9]/.+")
_SUBNETWORK = re.compile(r"(https://.+/)?regions/[^/]+/subnetworks/[^/]+")
_ACCOUNT = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LABEL_KEY = re.compile(r"[a-z][-_a-z0-9]{0,62}")
_LABEL_VALUE = re.compile(r"[-_a-z0-9]{0,63}")
_MIN_DISK_GB = 30


@dataclass(frozen=True, kw_only=True)
class Portable:
    """A Beam job service that is running already, and how it gets at Python workers."""

    endpoint: str | None = None  # host:port of the job service
    environment: Literal["loopback", "external", "docker", "process"] = "loopback"
    environment_config: str | None = None  # external: host:port; docker: image; process: JSON

    def __post_init__(self) -> None:
        _match("endpoint", self.endpoint, _ENDPOINT, "host:port of a Beam job service")
        if self.environment == "loopback":
            if self.environment_config is not None:
                raise ValueError(
                    "environment_config: must be null when environment is loopback, whose worker "
                    f"is this process; received {self.environment_config!r}; leave it out"
                )
        elif self.environment_config is None:
            wanted = {
                "external": "host:port of a worker pool (beam's worker_pool_main)",
                "docker": "an image made from `tpuline worker-files DIR`",
                "process": 'JSON, {"command": "/path/of/boot"}',
            }[self.environment]
            raise ValueError(
                f"environment_config: must be given when environment is {self.environment}; "
                f"received null; give {wanted}"
            )
        elif self.environment == "external":
            config = self.environment_config
            _match("environment_config", config, _ENDPOINT, "host:port of a worker pool")


@dataclass(frozen=True, kw_only=True)
class Dataflow:
    """A job of Google Cloud Dataflow. What is null is left to Dataflow."""

    project: str | None = None
    region: str | None = None
    temp_location: str | None = None  # gs://bucket/folder
    staging_location: str | None = None  # null: temp_location
    machine_type: str | None = None
    max_num_workers: int | None = None
    autoscaling: Literal["throughput", "none"] = "throughput"  # none: always num_workers
    network: str | None = None
    subnetwork: str | None = None  # regions/REGION/subnetworks/NAME
    use_public_ips: bool = True
    service_account: str | None = None  # of the workers; null: the project's default
    sdk_container_image: str | None = None  # null: Beam's, which then installs requirements
    disk_size_gb: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    endpoint: str | None = None  # of the Dataflow API; null: Google's public one

    def __post_init__(self) -> None:
        _match("project", self.project, _PROJECT, "a project id, lower case")
        _match("region", self.region, _REGION, "a region such as europe-west4")
        for name in ("temp_location", "staging_location"):
            what = "gs://bucket/folder with a bucket name of at least 3 characters"
            _match(name, getattr(self, name), _FOLDER, what)
        what = "regions/REGION/subnetworks/NAME"
        _match("subnetwork", self.subnetwork, _SUBNETWORK, what)
        _match("service_account", self.service_account, _ACCOUNT, "the e-mail of an account")
        if self.endpoint is not None and not self.endpoint.startswith(("https://", "http://")):
            raise ValueError(
                f"endpoint: must be a URL; received {self.endpoint!r}; leave it out to use "
                "https://dataflow.googleapis.com"
            )
        if not self.use_public_ips and self.sdk_container_image is None:
            raise ValueError(
                "sdk_container_image: must be given when use_public_ips is false, because workers "
                "without internet cannot install what they need; received null; build an image "
                "from `tpuline worker-files DIR`"
            )
        self._check_numbers()
        self._check_labels()

    def _check_numbers(self) -> None:
        if self.max_num_workers is not None and self.max_num_workers < 1:
            raise ValueError(
                f"max_num_workers: must be at least 1; received {self.max_num_workers}; leave it "
                "out to have Dataflow decide"
            )
        if self.disk_size_gb is not None and self.disk_size_gb < _MIN_DISK_GB:
            raise ValueError(
                f"disk_size_gb: must be at least {_MIN_DISK_GB}; received {self.disk_size_gb}; "
                "leave it out to have Dataflow decide"
            )

    def _check_labels(self) -> None:
        for key, value in self.labels.items():
            if not (_LABEL_KEY.fullmatch(key) and _LABEL_VALUE.fullmatch(value)):
                raise ValueError(
                    "labels: must be lower-case letters, digits, '-' and '_', at most 63, keys "
                    f"beginning with a letter; received {key}={value}; write team: nlp, say"
                )


@dataclass(frozen=True, kw_only=True)
class Running:
    """Who runs the pipeline. The fields of the `preprocess` section that say so, checked together.

    `num_workers` is the number of worker processes for `processes`, and that of the first workers
    for `dataflow`, whose `max_num_workers` says how far it may grow.
    """

    runner: str = "in_process"
    num_workers: int = 1
    portable: Portable = field(default_factory=Portable)
    dataflow: Dataflow = field(default_factory=Dataflow)

    def __post_init__(self) -> None:
        _check_name(self.runner)
        if not 1 <= self.num_workers <= 1000:
            raise ValueError(
                f"num_workers: must be from 1 to 1000; received {self.num_workers}; the number of "
                "cores is a good one for processes"
            )
        if self.runner in ("in_process", "portable") and self.num_workers != 1:
            other = {
                "in_process": "set runner to processes to use more cores",
                "portable": "the job service decides how many workers it starts",
            }[self.runner]
            raise ValueError(
                f"num_workers: must be 1 when runner is {self.runner}; received "
                f"{self.num_workers}; {other}"
            )
        if self.runner == "portable" and self.portable.endpoint is None:
            raise ValueError(
                "portable.endpoint: must be given when runner is portable; received null; give "
                "host:port of a Beam job service"
            )
        if self.runner == "dataflow":
            self._check_dataflow()

    @property
    def in_containers(self) -> bool:
        """Whether a job service starts a container for each worker."""
        return self.runner == "portable" and self.portable.environment == "docker"

    @property
    def disks_apart(self) -> bool:
        """Whether workers see no folder of this machine."""
        return self.runner == "dataflow" or self.in_containers

    def _check_dataflow(self) -> None:
        for name in ("project", "region", "temp_location"):
            if getattr(self.dataflow, name) is None:
                raise ValueError(
                    f"dataflow.{name}: must be given when runner is dataflow; received null; set it"
                )
        most = self.dataflow.max_num_workers
        if most is not None and most < self.num_workers:
            raise ValueError(
                "dataflow.max_num_workers: must be at least num_workers; received "
                f"{most} < {self.num_workers}; raise it, or lower num_workers"
            )


def _check_name(runner: str) -> None:
    if runner in RUNNERS:
        return
    known = runner.lower().removesuffix("runner").rstrip("_- ")
    reason = REFUSED.get(known)
    if reason is None:
        same = next((name for name in RUNNERS if name == known), None)
        reason = f"did you mean {same}?" if same else "in_process needs nothing else"
    raise ValueError(f"runner: must be one of {', '.join(RUNNERS)}; received {runner!r}; {reason}")


def _match(name: str, value: str | None, pattern: re.Pattern[str], what: str) -> None:
    if value is not None and not pattern.fullmatch(value):
        raise ValueError(f"{name}: must be {what}; received {value!r}; correct it or leave it out")
