"""Records of `contracts` on serving under load, which offers them. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scenario = Literal["single_stream", "multi_stream", "server", "offline"]
"""How MLPerf asks: one text after the other; eight at a time, query after query; texts at random
moments (Poisson) at a rate; all at once."""

STEADY = 0.15
"""Repeats whose rates differ by a larger share tell of the machine, not of the model."""


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


@dataclass(frozen=True, kw_only=True)
class WireCheck:
    """Answers over a wire beside those in process: to hostile texts, and to rows of the data."""

    target: str
    num_texts: int  # 0: the server could not load the model, so that none was asked
    max_abs_diff: float  # of a probability
    tolerance: float
    first_difference: str  # empty: they agree


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

    def rate_spreads(self) -> dict[str, float]:
        """By target, of the rates that the repeats of server found: the most over the least, less
        one. Of those that count, where there are two or more."""
        rates: dict[str, list[float]] = {}
        for result in self.results:
            if result.valid and result.asked_per_s:
                rates.setdefault(result.target, []).append(result.asked_per_s)
        return {
            target: max(found) / min(found) - 1 for target, found in rates.items() if len(found) > 1
        }
