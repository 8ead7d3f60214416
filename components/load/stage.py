"""ShardSet, Choice, Servables -> LoadReport: how the model that was chosen serves under load.

MLPerf's LoadGen asks with real rows of the data, in process and over the wire.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .. import processor, texts
from ..contracts import Choice, LoadReport, LoadResult, Servable, ShardSet, ThreadTiming
from ..load_records import JUDGED_IN_WORDS, STEADY
from ..serving.agreement import rule_of
from ..serving.driving.kept import Kept
from ..serving.driving.settings import TEXTS_PER_QUERY, Settings
from ..serving.found import digest
from ..serving.targets import IN_PROCESS, Target, parse
from ..stage import Context, Log
from ..turns import Turns
from .threads import Threads, by_threads

if TYPE_CHECKING:
    from ..serving.driving.process import Served
    from ..serving.servers.starting import Servers

VERSION = 7
USES = frozenset({"seed", "machine"})
OF_MEASUREMENTS = True  # it is of the variant that was chosen


@dataclass(frozen=True, kw_only=True)
class Batcher:
    """How Triton, where it is started here, puts requests together."""

    max_batch_size: int = 64  # texts
    max_delay_us: int = 0  # microseconds that a request waits for others; 0: not by intent

    def __post_init__(self) -> None:
        # Texts are compared, and multi_stream asks, eight at a time.
        for name, low, high in (
            ("max_batch_size", TEXTS_PER_QUERY, 4096),
            ("max_delay_us", 0, 1_000_000),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(
                    f"{name}: must lie between {low} and {high}; received {getattr(self, name)}; "
                    f"the default is {type(self).__dataclass_fields__[name].default}"
                )


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """What is asked under load, and how. Of servers answers are compared, even without scenarios;
    with neither servers, `scenarios` nor `threads` nothing is done."""

    targets: tuple[str, ...] = ("in_process",)  # [triton|tf_serving]+[http|grpc][://HOST:PORT]
    split: Literal["test", "validation"] = "test"
    num_rows: int = 1024  # different rows that the requests are drawn from
    batcher: Batcher = field(default_factory=Batcher)
    threads: tuple[Threads, ...] = ()  # timed beside what TensorFlow takes by itself
    turns: Turns = field(default_factory=Turns)  # of `threads`

    def __post_init__(self) -> None:
        super().__post_init__()
        parsed = [parse(target) for target in self.targets]
        if not parsed or len(set(parsed)) < len(parsed):
            raise ValueError(
                "targets: must be different ones, at least one; received "
                f"{list(self.targets)}; e.g. [in_process]"
            )
        if not 1 <= self.num_rows <= 100_000:
            raise ValueError(
                f"num_rows: must lie between 1 and 100000; received {self.num_rows}; e.g. 1024"
            )
        if self.batch_size > self.batcher.max_batch_size:
            raise ValueError(
                f"batch_size: must be at most batcher.max_batch_size "
                f"({self.batcher.max_batch_size}); received {self.batch_size}; lower it"
            )
        if self.threads and not self.turns.rounds:
            raise ValueError("turns.rounds: must be at least 1 for threads; received 0; e.g. 60")

    @property
    def names_servers(self) -> bool:
        """Whether there are targets whose answers can be compared with those in process."""
        return any(target != IN_PROCESS for target in self.targets)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Servables by the names of the variants."""

    shards: ShardSet
    choice: Choice
    servables: Mapping[str, Servable]


Output = LoadReport


def run(config: Config, inputs: Inputs, ctx: Context) -> LoadReport:
    """Asks every target; a failed comparison is a warning, and stands in the report.

    Each result is kept when it is there, so that a run that was stopped goes on after it.
    """
    chosen = inputs.choice.chosen
    asked = bool(config.scenarios or config.threads or config.names_servers)
    report = LoadReport(
        uri=str(ctx.workdir),
        variant=chosen,
        split=config.split,
        num_rows=0,
        p99_bound_ms=config.p99_ms,
        measured_on=processor.described(),
        loadgen_version="",
        wire=(),
        results=(),
    )
    if asked and chosen is None:
        ctx.log.warning("load: nothing was measured, for no variant was chosen")
    elif asked and chosen is not None:
        report = _measured(config, inputs.shards, inputs.servables[chosen], report, ctx)
        _warn(report, ctx.log)
    return report


def _measured(
    config: Config, shards: ShardSet, servable: Servable, report: LoadReport, ctx: Context
) -> LoadReport:
    """The report with what was measured."""
    rows = texts.sample(shards, config.split, num_rows=config.num_rows, seed=ctx.seed)
    report = replace(report, num_rows=len(rows))
    folder = Path(servable.uri) / servable.saved_model_dir
    targets = _targets(config, servable, ctx.log)
    if config.scenarios or any(target.server != IN_PROCESS for target in targets):
        from ..serving.driving.process import Served, measure

        served = Served(
            folder=folder,
            model=servable.saved_model_dir.partition("/")[0],
            version=servable.version,
            rows=rows.rows(),
            labels=[shards.answer(label) for label in rows.labels],
            rule=rule_of(servable),
            compiled=servable.format == "xla",
            together=config.batcher.max_batch_size,
        )
        kept = Kept(ctx.unfinished, of=_measured_of(config, served, ctx.seed), log=ctx.log)
        with _servers(config, ctx.log) as servers:
            found = measure(
                served, targets, config, servers=servers, kept=kept, seed=ctx.seed, log=ctx.log
            )
        report = replace(
            report,
            loadgen_version=found.loadgen_version,
            wire=found.wire,
            results=found.results,
        )
    if config.threads and not servable.is_saved_model:
        ctx.log.warning(
            f"load.threads: not measured, for {servable.format} does not compute with those of "
            "TensorFlow"
        )
    elif config.threads:
        report = replace(report, threads=_by_threads(config, folder, rows.rows(), ctx.log))
    return report


def _by_threads(
    config: Config, folder: Path, rows: list[tuple[str, ...]], log: Log
) -> tuple[ThreadTiming, ...]:
    """A failure is a warning: what is advised is worth no result of LoadGen."""
    sizes = sorted({1, config.batch_size})
    try:
        return by_threads(
            folder, rows, config.threads, batch_sizes=sizes, turns=config.turns, log=log
        )
    except RuntimeError as error:  # as many processes may take more memory than there is
        log.warning(f"load.threads: not measured ({error})")
        return ()


def _targets(config: Config, servable: Servable, log: Log) -> list[Target]:
    """Without those that would be started here, where they do not serve the format."""
    targets = [parse(target) for target in config.targets]
    if servable.is_saved_model:
        return targets
    started = [one for one in targets if one.server != IN_PROCESS and not one.address]
    if started:
        log.warning(
            f"load: {', '.join(one.name for one in started)} not asked, for no server that is "
            f"started here serves {servable.format}; choose.rule.formats says what may be chosen"
        )
    return [one for one in targets if one not in started]


def _measured_of(config: Config, served: Served, seed: int) -> str:
    """What a result of an earlier attempt must be of to count: all that it may depend on."""
    facts = [
        VERSION,
        asdict(config),
        seed,
        digest(served.folder),
        served.rows,
        served.labels,
        [platform.node(), platform.machine(), os.cpu_count()],
        [_version(package) for package in ("mlcommons-loadgen", "tensorflow")],
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # asking for it is told with what to install
        return None


def _servers(config: Config, log: Log) -> Servers:
    """What can be started here when a target names no address."""
    from ..serving.servers import tf_serving, triton
    from ..serving.servers.starting import Servers

    batcher = config.batcher
    started = triton.kind(
        os.environ,
        log,
        max_batch_size=batcher.max_batch_size,
        max_delay_us=batcher.max_delay_us,
    )
    return Servers({"triton": started, "tf_serving": tf_serving.command})


def _warn(report: LoadReport, log: Log) -> None:
    """What a reader of the report must not miss."""
    for check in report.wire:
        if check.first_difference:
            log.warning(
                f"{check.target}: answers otherwise than in process: {check.first_difference}"
            )
    for result in report.results:
        if not result.valid:
            log.warning(f"{result.target}, {result.scenario}: {_why(result)}")
        elif result.remarks:
            log.warning(f"{result.target}, {result.scenario}: {'; '.join(result.remarks)}")
    for runs in report.by_scenario():
        if runs.spread is not None and runs.spread > STEADY:
            what = JUDGED_IN_WORDS[runs.judged_by]
            log.warning(
                f"{runs.middle.target}, {runs.middle.scenario}: {what} of "
                f"{runs.num_runs} runs differ by {runs.spread:.0%}; measure again on a machine "
                "that does nothing else, or with a larger load.min_queries"
            )


def _why(result: LoadResult) -> str:
    words = "; ".join(result.remarks) or "no reason given"
    if result.scenario == "server":
        return f"no rate met the bound; at {result.asked_per_s:,.1f}/s: {words}"
    return f"the run does not count: {words}"
