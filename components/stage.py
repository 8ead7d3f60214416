"""What a stage offers, and what it is given.

A stage is a module `components/<name>/stage.py` with

* `VERSION: int`: raised when the same config and inputs would give another result,
* `Config`: a frozen keyword-only dataclass, the YAML section of the stage,
* `Inputs`: a frozen dataclass whose fields are typed by records of `contracts`,
* `Output`: the record that it makes,
* `run(config, inputs, ctx) -> Output`: does the work inside `ctx.workdir`,

and, where it reads what no other stage made,

* `fetch(config, data_dir, log) -> None`: brings what is named and not on this machine yet, before
  anything is checked; `ValueError` when it cannot be had,
* `check(config, data_dir) -> None`: raises `ValueError` for what can be seen without running,
* `identity(config, data_dir) -> object`: what stands for the config in the cache key: content
  digests in place of paths. JSON types only,
* `variants(config) -> dict[str, object]`: for a stage that makes several artifacts side by side,
  the config of each by its name; `run` and `identity` get one of them. `made_of(config) -> str` is
  the variant that such a one is made of,
* `EACH_VARIANT: bool`: whether it runs for what such a stage was given and again for each variant
  of it; without it, once. A field of `Inputs` that maps names to records takes those of all that
  did not fail, what it was given first,
* `OF_MEASUREMENTS: bool`: whether it is made anew when what it is made of was, under the same key:
  measurements differ each time, and no verdict may outlive those that it is on. Without it, not,
* `WORKERS: bool`: whether the processes that train together all run it; without it, worker 0 does
  and the others wait for its artifact,
* `USES: frozenset[str]`: which of `seed`, `hardware` (the config section) and `machine` (this very
  computer) the result depends on; they then belong to the cache key. Without it: none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


class Log(Protocol):
    """Where a stage tells what it does. Each call is one event of the run log."""

    def info(self, message: str, **facts: Any) -> None:
        """One line for people, the facts for machines."""

    def warning(self, message: str, **facts: Any) -> None:
        """Something that a person should look at; it stands in the report."""

    def progress(self, task: str, completed: float, total: float | None, note: str = "") -> None:
        """How far a long piece of work is. Cheap to call often: the sink thins it out."""


class Lane(Protocol):
    """The devices that a run computes on, ready to use."""

    @property
    def strategy_name(self) -> str:
        """`tpu`, `mirrored` (GPUs) or `cpu`."""

    @property
    def num_replicas(self) -> int:
        """How many parts a global batch is cut into."""

    @property
    def precision(self) -> str:
        """The Keras dtype policy."""

    @property
    def description(self) -> str:
        """For people: "2 x CPU (logical replicas), float32"."""

    def scope(self) -> AbstractContextManager[None]:
        """Build and load models inside it: distribution strategy and dtype policy are set."""

    @property
    def accelerator(self) -> str:
        """The slice of TPU chips, "v5e-8"; empty for what has no such name."""

    @property
    def num_workers(self) -> int:
        """Processes that train together."""

    @property
    def num_hosts(self) -> int:
        """Machines that read, each its share of the rows.

        As many as workers, but on a slice of TPU chips on several hosts, which one process leads.
        """

    @property
    def worker_index(self) -> int:
        """Of this process among them. Only 0, the chief, writes what the stage leaves behind."""

    def feed(self, make: Callable[[int, int], Any]) -> Any:
        """What `fit` takes, of a function that makes a dataset of batches.

        `make(index, count)` gives the share of one host of `count` in each global batch; it is cut
        into equal parts, one a replica of the host.
        """


class Hardware(Protocol):
    """Starts the configured devices, once a process. Importing TensorFlow happens here."""

    def dtype(self, name: str) -> AbstractContextManager[None]:
        """Build models inside it: weights and computation are of this dtype. Starts no device."""

    @property
    def worker_index(self) -> int:
        """As of the lane, before it is started."""

    @property
    def num_workers(self) -> int:
        """The same."""

    def start(self) -> Lane:
        """The lane; the same one on every call."""


class SecondsAtPeak(Protocol):
    """The least time that the model's FLOPs can take, as far as somebody has counted them."""

    def __call__(
        self,
        *,
        accelerator: str,
        num_parameters: int,
        precision: str,
        rows_by_width: Mapping[int, int],
    ) -> Mapping[int, float] | None:
        """Seconds by width of a global batch, were all chips at their peak.

        `accelerator` is that of the lane, and `rows_by_width` the rows of a global batch.
        """


def uncounted(**_: Any) -> None:
    """A `SecondsAtPeak` where nobody has."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a stage gets besides its config and inputs."""

    workdir: Path  # empty, the stage's own; becomes the artifact when the stage returns
    shared: str = ""  # where workers on other machines leave files of the artifact; else workdir
    unfinished: str = ""  # a folder that outlives failed attempts, to go on from; may be a bucket's
    places: Mapping[str, str] = field(default_factory=dict)  # as of `everywhere`
    callbacks: tuple[Any, ...] = ()  # of Keras, the caller's own, for the stage that trains
    seconds_at_peak: SecondsAtPeak = uncounted  # for the curve of FLOP utilisation
    data_dir: Path | str  # where relative source paths start: a folder, or gs://bucket/folder
    seed: int
    hardware: Hardware
    log: Log

    def __post_init__(self) -> None:
        if not self.shared:
            object.__setattr__(self, "shared", str(self.workdir))
        if not self.unfinished:
            object.__setattr__(self, "unfinished", f"{self.workdir}.unfinished")

    def everywhere(self, uri: str) -> str:
        """The place of an input artifact for other machines, `uri` being that on this one."""
        return self.places.get(uri, uri)
