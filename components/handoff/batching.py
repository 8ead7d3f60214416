"""Measured batches -> the largest worth waiting for, and what TF Serving is told. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WORTH = 0.9
"""Share of the best throughput that the knee gives: beyond it only latency grows."""

MIN_REQUEST_SIZE = 32
"""Texts that one request may have, however slow the model is: requests of as many are timed."""


@dataclass(frozen=True, kw_only=True)
class BatchTime:
    """How long one call takes."""

    batch_size: int
    ms: float  # median

    @property
    def texts_per_s(self) -> float:
        return 1000 * self.batch_size / self.ms


@dataclass(frozen=True, kw_only=True)
class Batching:
    """Of `batching_params.pbtxt`."""

    batch_sizes: tuple[int, ...]  # that were measured, increasing, up to the knee
    timeout_us: int  # how long the first request of a batch may wait for others
    num_threads: int
    max_enqueued_batches: int

    @property
    def max_batch_size(self) -> int:
        return self.batch_sizes[-1]

    @property
    def max_request_size(self) -> int:
        """Texts of one request: as many as may queue, for a server refuses others at any time."""
        return self.max_batch_size * self.max_enqueued_batches


def knee(times: Sequence[BatchTime]) -> int:
    """The smallest batch size that gives `WORTH` of the best throughput measured."""
    best = max(time.texts_per_s for time in times)
    return min(time.batch_size for time in times if time.texts_per_s >= WORTH * best)


def batching(times: Sequence[BatchTime], *, num_threads: int, max_wait_ms: float) -> Batching:
    """Batches up to the knee; a larger request is computed as several.

    A request waits at most half of what a single one takes to compute: at low load nobody is kept
    long for a batch that does not come. One batch was measured to keep all cores busy: two threads
    make batches, so that one tokenises while the other computes, and as many may queue as are done,
    one after another, within `max_wait_ms`; what comes then is better refused at once than answered
    too late. Only a request of `MIN_REQUEST_SIZE` may always queue.
    """
    largest = knee(times)
    by_size = {time.batch_size: time.ms for time in times}
    single_ms = by_size[min(by_size)]
    return Batching(
        batch_sizes=tuple(sorted(size for size in by_size if size <= largest)),
        timeout_us=max(int(single_ms * 500), 100),
        num_threads=min(num_threads, 2),
        max_enqueued_batches=max(
            int(max_wait_ms / by_size[largest]), math.ceil(MIN_REQUEST_SIZE / largest)
        ),
    )


def pbtxt(batching: Batching) -> str:
    """As TF Serving reads it (`BatchingParameters` of session_bundle_config.proto).

    There `max_batch_size` is the limit of one request. `allowed_batch_sizes` are left out: their
    last must be that limit (bundle_factory_util.cc), although no batch is as large, and compiled
    models pad to the sizes that they have code for by themselves.

    It is not let pad requests of other widths: it would with the first element of each tensor
    (batching_util.h), and so take padding for tokens. They are an error instead.
    """
    return (
        f"max_batch_size {{ value: {batching.max_request_size} }}\n"
        "enable_large_batch_splitting { value: true }\n"
        f"max_execution_batch_size {{ value: {batching.max_batch_size} }}\n"
        f"batch_timeout_micros {{ value: {batching.timeout_us} }}\n"
        f"max_enqueued_batches {{ value: {batching.max_enqueued_batches} }}\n"
        f"num_batch_threads {{ value: {batching.num_threads} }}\n"
        "pad_variable_length_inputs: false\n"
    )
