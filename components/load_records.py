"""Records of `contracts` on serving under load, which offers them. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Scenario = Literal["single_stream", "multi_stream", "server", "offline"]
"""How MLPerf asks: one text after the other; eight at a time, query after query; texts at random
moments (Poisson) at a rate; all at once."""

JUDGED_BY: dict[Scenario, Literal["p99_ms", "asked_per_s", "texts_per_s"]] = {
    "single_stream": "p99_ms",
    "multi_stream": "p99_ms",
    "server": "asked_per_s",
    "offline": "texts_per_s",
}
"""The field of its results by which repeats of a scenario are compared."""

JUDGED_IN_WORDS = {"p99_ms": "p99", "asked_per_s": "rates found", "texts_per_s": "texts/s"}
"""What people call these fields."""

STEADY = 0.15
"""Of repeats that differ by a larger share one says little: mostly what else the machine does."""


WORTH_SETTING = 0.1
"""Share of p50 that a setting of threads must save to be advised."""


@dataclass(frozen=True, kw_only=True)
class LoadResult:
    """One scenario against one target, as LoadGen timed it. Of server: the highest rate found.

    Latency is of a query, from the moment it was due; offline it is the place in the one big query.
    """

    target: str  # as in `load.targets`
    scenario: Scenario
    repeat: int = 1
    valid: bool  # by LoadGen's rules, early stopping included, and every text was answered
    remarks: tuple[str, ...]  # why it is not; of server, that the search did not come to its end
    num_queries: int
    num_texts: int
    num_failed: int  # texts that were refused or got no answer
    asked_per_s: float | None = None  # queries; of server only
    texts_per_s: float  # answered
    p50_ms: float
    p90_ms: float
    p99_ms: float
    accuracy: float | None  # of the answers given under load; None: there were none
    num_changed: int  # answers with another label than the same text got in process
    cpu_cores: float | None  # processor seconds a second of what answers; None: runs elsewhere
    peak_memory_bytes: int | None  # resident, of all its processes

    @property
    def judged(self) -> float:
        """What counts in its scenario; 0 where nothing was answered."""
        value: float | None = getattr(self, JUDGED_BY[self.scenario])
        return value or 0.0


@dataclass(frozen=True, kw_only=True)
class Repeated:
    """All runs of one scenario against one target."""

    middle: LoadResult  # by what it is judged by; of two in the middle the worse
    judged_by: str
    num_runs: int
    valid: bool  # all of them
    num_failed: int  # texts, of all
    num_changed: int
    least: float | None  # of what it is judged by; of those that count, where they are two or more
    most: float | None

    @property
    def spread(self) -> float | None:
        """The most over the least, less one."""
        return self.most / self.least - 1 if self.least and self.most else None


@dataclass(frozen=True, kw_only=True)
class WireCheck:
    """Answers over a wire beside those in process: to hostile texts, and to rows of the data."""

    target: str
    num_texts: int
    num_answered: int  # rightly or not
    max_abs_diff: float  # of a probability
    tolerance: float
    first_difference: str  # empty: they agree
    decides: bool = True  # what differs is of this model, and keeps it from being handed over


@dataclass(frozen=True, kw_only=True)
class ThreadTiming:
    """Latency with so many of TensorFlow's threads, requests one after another.

    Of the quieter half of the rounds, and with what a pipe between two processes takes.
    """

    intra_op: int  # that one op is cut up for; 0: as TensorFlow takes them by itself
    inter_op: int  # for ops that do not wait for each other
    batch_size: int
    num_requests: int  # that count
    p50_ms: float
    p90_ms: float


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """How the model that was chosen serves under load."""

    uri: str
    variant: str | None  # None: none was chosen, so nothing was measured
    split: str
    num_rows: int  # different ones that the requests were drawn from
    p99_bound_ms: float  # of server
    measured_on: str = ""  # processor, and cores that may be used
    loadgen_version: str  # empty: LoadGen measured nothing
    wire: tuple[WireCheck, ...]
    results: tuple[LoadResult, ...]
    threads: tuple[ThreadTiming, ...] = ()  # empty: not measured

    def advised_threads(self) -> tuple[ThreadTiming, ...]:
        """Of each batch size, what TensorFlow takes by itself, or those of the lowest p50 where
        they save `WORTH_SETTING` of it."""
        found = []
        for size in dict.fromkeys(timing.batch_size for timing in self.threads):
            own, *others = (one for one in self.threads if one.batch_size == size)
            best = min(others, key=lambda one: one.p50_ms, default=own)
            found.append(best if best.p50_ms <= (1 - WORTH_SETTING) * own.p50_ms else own)
        return tuple(found)

    def by_scenario(self) -> tuple[Repeated, ...]:
        """What was found of each target and scenario, in the order of their first runs."""
        groups: dict[tuple[str, Scenario], list[LoadResult]] = {}
        for result in self.results:
            groups.setdefault((result.target, result.scenario), []).append(result)
        return tuple(_repeated(scenario, same) for (_, scenario), same in groups.items())


def _repeated(scenario: Scenario, runs: Sequence[LoadResult]) -> Repeated:
    judged_by = JUDGED_BY[scenario]
    sign = -1 if judged_by == "p99_ms" else 1
    # Where nothing was answered, nothing is worse.
    worst_first = sorted(runs, key=lambda run: (run.num_queries > 0, sign * run.judged))
    counted = [run.judged for run in runs if run.valid and run.judged]
    several = len(counted) > 1
    return Repeated(
        middle=worst_first[(len(runs) - 1) // 2],
        judged_by=judged_by,
        num_runs=len(runs),
        valid=all(run.valid for run in runs),
        num_failed=sum(run.num_failed for run in runs),
        num_changed=sum(run.num_changed for run in runs),
        least=min(counted) if several else None,
        most=max(counted) if several else None,
    )
