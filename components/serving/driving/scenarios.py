"""What answers texts -> the results of every scenario asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from ...contracts import LoadResult, Scenario
from ..clients.connections import RequestFailed
from ..targets import Asked
from . import loadgen
from .costs import Costs, watched
from .loadgen import Outcome, Rows
from .search import Found, about, highest
from .settings import Settings
from .warming import sizes, warm_up

ATTEMPTS = 3
MARGIN = 1.2
"""So much more is asked than should be answered in the least duration."""

SHORTER = 5
"""Times, are the runs that only say about where a rate is."""

BOUNDS = 4
"""Times the bound, is a run that shows a rate a quarter above what is borne."""

Tell = Callable[[str], None]


def measure(
    client: Asked,
    rows: Rows,
    settings: Settings,
    *,
    target: str,
    pid: int | None,
    num_threads: int,
    seed: int,
    tell: Tell,
    together: int = 0,
    done: Sequence[LoadResult] = (),
) -> Iterator[LoadResult]:
    """A result of each repeat of each scenario. `pid` is the process that answers, if known, and
    `together` up to how many texts it puts requests together; 0: it does not.

    `tell` hears of each run of LoadGen before it begins. A server that gives no answer before the
    clock gets a result that does not count. Those that are `done` are given as they are.
    """
    repeats = range(1, settings.repeats + 1)
    for scenario in settings.scenarios:
        found = {result.repeat: result for result in done if result.scenario == scenario}
        if all(repeat in found for repeat in repeats):
            yield from (found[repeat] for repeat in repeats)
            continue
        asked = sizes(scenario, settings, together=together)
        try:
            warmed = warm_up(client, rows, asked)
        except RequestFailed as error:
            yield from (found[repeat] for repeat in repeats if repeat in found)
            yield _unanswered(target, scenario, str(error))
            continue
        run = _Run(client, rows, settings, target, pid, num_threads, seed, tell, warmed.remarks)
        if scenario == "server":
            yield from run.highest_rates(repeats, found, warmed.seconds)
        else:
            yield from run.runs(scenario, repeats, found, rate=asked[0] / warmed.seconds)


def _unanswered(target: str, scenario: Scenario, why: str) -> LoadResult:
    return LoadResult(
        target=target,
        scenario=scenario,
        valid=False,
        remarks=(f"no answer before the clock: {why}",),
        num_queries=0,
        num_texts=0,
        num_failed=0,
        texts_per_s=0.0,
        p50_ms=0.0,
        p90_ms=0.0,
        p99_ms=0.0,
        accuracy=None,
        num_changed=0,
        cpu_cores=None,
        peak_memory_bytes=None,
    )


def _shortened(settings: Settings) -> Settings:
    """For runs that only say about where a rate is.

    Of several times the bound all the same: before that no queue is long enough to break it.
    """
    least = max(0.1, settings.min_duration_s / SHORTER, BOUNDS * settings.p99_ms / 1000)
    return replace(
        settings,
        min_duration_s=min(least, settings.min_duration_s),
        min_queries=max(64, settings.min_queries // SHORTER),
    )


def _unsettled(found: Found, seconds: float, precision: float) -> tuple[str, ...]:
    """What a reader must know of a search that did not come to its end."""
    if found.settled:
        return ()
    spent = f"{found.num_probes} runs and {seconds:,.0f} s"
    if found.rate is None:
        return (f"no rate held in {spent}; this is the lowest that was tried",)
    return (f"the search stopped after {spent}, before {precision:.0%} more had failed twice",)


class _Run:
    """The runs of LoadGen against one target. Its results begin with the `remarks`."""

    def __init__(
        self,
        client: Asked,
        rows: Rows,
        settings: Settings,
        target: str,
        pid: int | None,
        num_threads: int,
        seed: int,
        tell: Tell,
        remarks: tuple[str, ...],
    ) -> None:
        self.client, self.rows, self.settings = client, rows, settings
        self.target, self.pid, self.num_threads = target, pid, num_threads
        self.seed, self.tell, self.remarks = seed, tell, remarks

    def runs(
        self,
        scenario: Scenario,
        repeats: Sequence[int],
        done: Mapping[int, LoadResult],
        *,
        rate: float,
    ) -> Iterator[LoadResult]:
        """Of a scenario that has no rate to be found, a result a repeat.

        All ask the same texts. `rate` is what is expected until one is through.
        """
        for repeat in repeats:
            result = done.get(repeat) or self._once(scenario, repeat, rate)
            rate = max(rate, result.texts_per_s)
            yield result

    def _once(self, scenario: Scenario, repeat: int, rate: float) -> LoadResult:
        """LoadGen makes its queries beforehand, by the rate that it is told, and a run that comes
        to their end too soon does not count: then it is told the rate that was seen.
        """
        for attempt in range(1, ATTEMPTS + 1):
            outcome, costs = self._drive(scenario, MARGIN * rate, self.settings)
            if not outcome.found.too_short or attempt == ATTEMPTS:
                break
            rate = outcome.num_texts / outcome.seconds
        return self._result(scenario, repeat, outcome, costs)

    def highest_rates(
        self, repeats: Sequence[int], done: Mapping[int, LoadResult], seconds: float
    ) -> Iterator[LoadResult]:
        """Of server, a result a repeat; each begins where the one before it ended, well or not.

        `seconds` is what one text takes when nothing else is asked.
        """
        start = None
        for repeat in repeats:
            result = done.get(repeat) or self._highest_rate(start, repeat, seconds)
            start = result.asked_per_s
            yield result

    def _highest_rate(self, start: float | None, repeat: int, seconds: float) -> LoadResult:
        """The highest rate of Poisson arrivals at which p99 keeps the bound.

        The lowest tried, which does not count, where none does. Every run asks the same texts at
        the same moments, but for the rate: what differs from run to run is the target's doing.
        """
        tried: dict[float, tuple[Outcome, Costs | None]] = {}
        settings, began = self.settings, time.perf_counter()

        def holds(rate: float) -> bool:
            seen = self._drive("server", rate, settings)
            if rate not in tried or seen[0].met:
                tried[rate] = seen
            return seen[0].met

        def affords(rate: float) -> bool:
            length = max(settings.min_duration_s, settings.min_queries / rate)
            return time.perf_counter() - began + length <= settings.server_budget_s

        # At a lower one the longest time would not do for enough queries.
        least = MARGIN * settings.min_queries / settings.max_duration_s
        if start is None:
            start = about(
                self._holds_shortly, ceiling=self._ceiling(seconds), least=least, affords=affords
            )
        found = highest(
            holds, start=start, least=least, precision=settings.rate_precision, affords=affords
        )
        rate = found.rate or min(tried)
        result = self._result("server", repeat, *tried[rate])
        words = _unsettled(found, time.perf_counter() - began, settings.rate_precision)
        return replace(result, asked_per_s=rate, remarks=(*result.remarks, *words))

    def _ceiling(self, seconds: float) -> float:
        """Texts a second that are answered when all that may be in flight are."""
        short = replace(_shortened(self.settings), batch_size=1)
        outcome, _ = self._drive("offline", 1 / seconds, short)
        return max(outcome.num_texts - outcome.num_failed, 1) / outcome.seconds

    def _holds_shortly(self, rate: float) -> bool:
        """What a short run says of a rate; too short a one to count."""
        outcome, _ = self._drive("server", rate, _shortened(self.settings))
        found = outcome.found
        in_time = found.p99_ms <= self.settings.p99_ms and not found.ended_early
        return in_time and not outcome.num_failed

    def _drive(
        self, scenario: Scenario, rate: float, settings: Settings
    ) -> tuple[Outcome, Costs | None]:
        self.tell(f"{scenario} at {rate:,.0f}/s" if scenario == "server" else scenario)
        with watched(self.pid) as costs:
            outcome = loadgen.drive(
                self.client,
                self.rows,
                scenario,
                settings,
                rate=rate,
                num_threads=self.num_threads,
                seed=self.seed,
            )
        return outcome, costs

    def _result(
        self, scenario: Scenario, repeat: int, outcome: Outcome, costs: Costs | None
    ) -> LoadResult:
        found, num_answered = outcome.found, outcome.num_texts - outcome.num_failed
        failed = f"{outcome.num_failed} of {outcome.num_texts} texts got no answer: "
        remarks = (failed + outcome.first_failure,) if outcome.num_failed else ()
        return LoadResult(
            target=self.target,
            scenario=scenario,
            repeat=repeat,
            valid=outcome.met,
            remarks=(*self.remarks, *found.remarks, *remarks),
            num_queries=found.num_queries,
            num_texts=outcome.num_texts,
            num_failed=outcome.num_failed,
            texts_per_s=num_answered / outcome.seconds,
            p50_ms=found.p50_ms,
            p90_ms=found.p90_ms,
            p99_ms=found.p99_ms,
            accuracy=outcome.num_right / num_answered if num_answered else None,
            num_changed=outcome.num_changed,
            cpu_cores=None if costs is None else costs.cpu_cores,
            peak_memory_bytes=None if costs is None else costs.peak_memory_bytes,
        )
