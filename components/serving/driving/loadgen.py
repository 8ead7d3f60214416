"""One run of MLPerf's LoadGen against whatever answers texts.

LoadGen decides when a query is issued and takes the times; it calls back on a thread of its own,
which must not wait in the server scenario. So queries go into a queue and threads answer them: that
a request waits for a free thread is part of its latency, as it would be before a real server.
"""

from __future__ import annotations

import queue
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...contracts import Scenario
from ..answering import LABEL
from ..targets import Asked
from . import detail
from .settings import TEXTS_PER_QUERY, Settings

NAMES: dict[Scenario, str] = {
    "single_stream": "SingleStream",
    "multi_stream": "MultiStream",
    "server": "Server",
    "offline": "Offline",
}


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What is asked, and what should come back. Of N rows."""

    texts: tuple[tuple[str, ...], ...]  # (text,) or (text, text pair)
    labels: tuple[bytes, ...]  # what the data says
    answers: tuple[bytes, ...]  # what the model said in process
    # Where the model is compiled for each width of batches: (tokens, place of a row so wide)
    of_each_width: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Of one run."""

    found: detail.Found
    num_texts: int
    num_failed: int  # texts; a refused request counts with all of its texts
    first_failure: str
    num_right: int  # labels as the data has them
    num_changed: int  # labels other than in process
    seconds: float  # from the first query to the last answer

    @property
    def met(self) -> bool:
        """Whether the run counts: LoadGen says so, and nothing was dropped."""
        return self.found.valid and not self.num_failed


def drive(
    client: Asked,
    rows: Rows,
    scenario: Scenario,
    settings: Settings,
    *,
    rate: float,
    num_threads: int,
    seed: int,
) -> Outcome:
    """Asks `client` as the scenario has it. `rate`: texts a second, asked (server) or expected.

    Raises:
        ValueError: LoadGen is not installed, or ended without a result.
    """
    loadgen = imported()
    answers = _Answers(client, rows, loadgen)
    threads = num_threads if scenario in ("server", "offline") else 1
    size = settings.batch_size if scenario == "offline" else TEXTS_PER_QUERY
    workers = [threading.Thread(target=answers.work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    system = loadgen.ConstructSUT(lambda samples: answers.put(samples, size), lambda: None)
    library = loadgen.ConstructQSL(len(rows.texts), len(rows.texts), lambda _: None, lambda _: None)
    with tempfile.TemporaryDirectory(prefix="tpuline-loadgen-") as folder:
        try:
            loadgen.StartTestWithLogSettings(
                system,
                library,
                _test(loadgen, scenario, settings, rate=rate, seed=seed),
                _logs(loadgen, folder),
            )
        finally:
            answers.end(workers)
            loadgen.DestroyQSL(library)
            loadgen.DestroySUT(system)
        return answers.outcome(detail.read(Path(folder)))


def imported() -> Any:
    """The module of LoadGen; `ValueError` without it."""
    try:
        import mlperf_loadgen
    except ImportError as error:
        raise ValueError(
            f"load.scenarios: need packages that are not installed ({error}); "
            "pip install 'tpuline[load]'"
        ) from error
    return mlperf_loadgen


@dataclass(kw_only=True)
class _Counts:
    texts: int = 0
    failed: int = 0
    right: int = 0
    changed: int = 0
    failures: list[str] = field(default_factory=list)


class _Answers:
    """The system under test: a queue of requests, answered by threads."""

    def __init__(self, client: Asked, rows: Rows, loadgen: Any) -> None:
        self._client, self._rows, self._loadgen = client, rows, loadgen
        self._waiting: queue.SimpleQueue[list[Any] | None] = queue.SimpleQueue()
        self._counts, self._lock = _Counts(), threading.Lock()
        self._started: float | None = None
        self._ended = 0.0

    def put(self, samples: Sequence[Any], size: int) -> None:
        """A query, as requests of at most `size` texts: alike lengths together when there are more,
        for a batch is padded to its longest text."""
        if self._started is None:
            self._started = time.perf_counter()
        wanted = list(samples)
        if len(wanted) > size:
            wanted.sort(key=lambda one: sum(map(len, self._rows.texts[one.index])))
        for start in range(0, len(wanted), size):
            self._waiting.put(wanted[start : start + size])

    def work(self) -> None:
        while (samples := self._waiting.get()) is not None:
            self._answer(samples)
            # LoadGen only wants to hear that an answer is there; we compare it ourselves.
            done = [self._loadgen.QuerySampleResponse(one.id, 0, 0) for one in samples]
            self._loadgen.QuerySamplesComplete(done)

    def end(self, workers: Sequence[threading.Thread]) -> None:
        for _ in workers:
            self._waiting.put(None)
        for worker in workers:
            worker.join()

    def outcome(self, found: detail.Found) -> Outcome:
        counts = self._counts
        return Outcome(
            found=found,
            num_texts=counts.texts,
            num_failed=counts.failed,
            first_failure=counts.failures[0] if counts.failures else "",
            num_right=counts.right,
            num_changed=counts.changed,
            seconds=self._ended - (self._started or 0.0),
        )

    def _answer(self, samples: list[Any]) -> None:
        places = [one.index for one in samples]
        failure, labels = "", []
        try:
            columns = list(zip(*(self._rows.texts[place] for place in places), strict=True))
            labels = self._client.texts(columns)[LABEL].tolist()
        except Exception as error:  # whatever it is, the caller got no answer
            failure = f"{type(error).__name__}: {error}"
        now = time.perf_counter()
        with self._lock:
            self._ended = max(self._ended, now)
            counts = self._counts
            counts.texts += len(places)
            if len(labels) != len(places):
                counts.failed += len(places)
                counts.failures.append(failure or f"{len(labels)} answers to {len(places)} texts")
                return
            for place, label in zip(places, labels, strict=True):
                counts.right += label == self._rows.labels[place]
                counts.changed += label != self._rows.answers[place]


def _test(loadgen: Any, scenario: Scenario, settings: Settings, *, rate: float, seed: int) -> Any:
    test = loadgen.TestSettings()
    test.scenario = getattr(loadgen.TestScenario, NAMES[scenario])
    test.mode = loadgen.TestMode.PerformanceOnly
    test.min_duration_ms = int(1000 * settings.min_duration_s)
    test.max_duration_ms = int(1000 * settings.max_duration_s)
    test.min_query_count = settings.min_queries
    test.qsl_rng_seed = seed
    test.sample_index_rng_seed = seed + 1
    test.schedule_rng_seed = seed + 2
    if scenario == "single_stream":
        test.single_stream_expected_latency_ns = int(1e9 / rate)
    elif scenario == "multi_stream":
        test.multi_stream_samples_per_query = TEXTS_PER_QUERY
        test.multi_stream_expected_latency_ns = int(1e9 * TEXTS_PER_QUERY / rate)
    elif scenario == "server":
        test.server_target_qps = rate
        test.server_target_latency_ns = int(1e6 * settings.p99_ms)
        test.server_target_latency_percentile = 0.99
        test.server_max_async_queries = too_many(rate, settings)
    else:
        test.offline_expected_qps = rate
    return test


def too_many(rate: float, settings: Settings) -> int:
    """Queries that wait when p99 cannot keep the bound any more: LoadGen ends the run there.

    All that came longer ago than the bound are late, and one in a hundred may be. Twice as many,
    for arrivals come in clusters.
    """
    num_queries = max(settings.min_queries, rate * settings.min_duration_s)
    return 32 + int(2 * (rate * settings.p99_ms / 1000 + num_queries / 100))


def _logs(loadgen: Any, folder: str) -> Any:
    logs = loadgen.LogSettings()
    logs.log_output.outdir = folder
    logs.log_output.copy_summary_to_stdout = False
    logs.enable_trace = False
    return logs
