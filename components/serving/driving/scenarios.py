"""What answers texts -> the results of every scenario asked for."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ...contracts import LoadResult, Scenario
from ..clients.connections import RequestFailed
from ..targets import Asked
from . import loadgen
from .costs import Costs, watched
from .loadgen import Outcome, Rows
from .search import highest
from .settings import TEXTS_PER_QUERY, Settings

WARM_UP_REQUESTS = 20
"""Of each size, before the clock."""

ATTEMPTS = 3
MARGIN = 1.2
"""So much more is asked than should be answered in the least duration."""

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
    done: Sequence[LoadResult] = (),
) -> Iterator[LoadResult]:
    """One result a scenario; of server, one a repeat. `pid` is the process that answers, if known.

    `tell` hears of each run of LoadGen before it begins. A server that gives no answer before the
    clock gets a result that does not count. Those that are `done` are given as they are.
    """
    run = _Run(client, rows, settings, target, pid, num_threads, seed, tell)
    for scenario in settings.scenarios:
        found = {result.repeat: result for result in done if result.scenario == scenario}
        repeats = range(1, (settings.repeats if scenario == "server" else 1) + 1)
        if all(repeat in found for repeat in repeats):
            yield from (found[repeat] for repeat in repeats)
            continue
        size = {"multi_stream": TEXTS_PER_QUERY, "offline": settings.batch_size}.get(scenario, 1)
        try:
            seconds = warm_up(client, rows, size)
        except RequestFailed as error:
            yield _unanswered(target, scenario, str(error))
            continue
        if scenario == "server":
            for repeat in repeats:
                yield found.get(repeat) or run.highest_rate(start=0.5 / seconds, repeat=repeat)
        else:
            yield run.once(scenario, rate=size / seconds)


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


def warm_up(client: Asked, rows: Rows, size: int) -> float:
    """Median seconds of a request of `size` texts."""
    seconds = []
    for request in range(WARM_UP_REQUESTS):
        places = [(request * size + one) % len(rows.texts) for one in range(size)]
        started = time.perf_counter()
        client.texts(list(zip(*(rows.texts[place] for place in places), strict=True)))
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


class _Run:
    """The runs of LoadGen against one target."""

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
    ) -> None:
        self.client, self.rows, self.settings = client, rows, settings
        self.target, self.pid, self.num_threads = target, pid, num_threads
        self.seed, self.tell = seed, tell

    def once(self, scenario: Scenario, *, rate: float) -> LoadResult:
        """One run of a scenario that has no rate to be found.

        LoadGen makes its queries beforehand, by the rate that it is told, and a run that comes to
        their end too soon does not count: then it is told the rate that was seen.
        """
        for attempt in range(1, ATTEMPTS + 1):
            outcome, costs = self._drive(scenario, MARGIN * rate, self.seed)
            if not outcome.found.too_short or attempt == ATTEMPTS:
                break
            rate = outcome.num_texts / outcome.seconds
        return self._result(scenario, outcome, costs)

    def highest_rate(self, *, start: float, repeat: int) -> LoadResult:
        """The highest rate of Poisson arrivals at which p99 keeps the bound.

        The lowest tried, which does not count, where none does.
        """
        tried: dict[float, tuple[Outcome, Costs | None]] = {}

        def meets(rate: float) -> bool:
            seed = self.seed + 1000 * repeat + len(tried)  # other arrivals each time
            tried[rate] = self._drive("server", rate, seed)
            return tried[rate][0].met

        settings = self.settings
        found = highest(
            meets,
            start=start,
            # A lower one would not make enough queries in the longest time.
            least=MARGIN * settings.min_queries / settings.max_duration_s,
            precision=settings.rate_precision,
        )
        rate = min(tried) if found is None else found
        return replace(self._result("server", *tried[rate]), repeat=repeat, asked_per_s=rate)

    def _drive(self, scenario: Scenario, rate: float, seed: int) -> tuple[Outcome, Costs | None]:
        self.tell(f"{scenario} at {rate:,.0f}/s" if scenario == "server" else scenario)
        with watched(self.pid) as costs:
            outcome = loadgen.drive(
                self.client,
                self.rows,
                scenario,
                self.settings,
                rate=rate,
                num_threads=self.num_threads,
                seed=seed,
            )
        return outcome, costs

    def _result(self, scenario: Scenario, outcome: Outcome, costs: Costs | None) -> LoadResult:
        found, num_answered = outcome.found, outcome.num_texts - outcome.num_failed
        failed = f"{outcome.num_failed} of {outcome.num_texts} texts got no answer: "
        remarks = (failed + outcome.first_failure,) if outcome.num_failed else ()
        return LoadResult(
            target=self.target,
            scenario=scenario,
            valid=outcome.met,
            remarks=(*found.remarks, *remarks),
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
