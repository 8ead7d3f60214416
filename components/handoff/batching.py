"""Measured batches -> the largest worth waiting for, and what TF Serving is told. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WORTH = 0.9
"""Share of the best throughput that the knee gives: beyond it only latency grows."""


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

    allowed_batch_sizes: tuple[int, ...]  # increasing; a server pads to the next
    timeout_us: int  # how long the first request of a batch may wait for others
    num_threads: int
    max_enqueued_batches: int

    @property
    def max_batch_size(self) -> int:
        return self.allowed_batch_sizes[-1]


def knee(times: Sequence[BatchTime]) -> int:
    """The smallest batch size that gives `WORTH` of the best throughput measured."""
    best = max(time.texts_per_s for time in times)
    return min(time.batch_size for time in times if time.texts_per_s >= WORTH * best)


def batching(times: Sequence[BatchTime], *, num_threads: int, max_wait_ms: float) -> Batching:
    """Batches up to the knee.

    A request waits at most half of what a single one takes to compute: at low load nobody is kept
    long for a batch that does not come. One batch was measured to keep all cores busy: two threads
    make batches, so that one tokenises while the other computes, and as many may queue as are done,
    one after another, within `max_wait_ms`; what comes then is better refused at once than answered
    too late.
    """
    largest = knee(times)
    by_size = {time.batch_size: time.ms for time in times}
    single_ms = by_size[min(by_size)]
    return Batching(
        allowed_batch_sizes=tuple(sorted(size for size in by_size if size <= largest)),
        timeout_us=max(int(single_ms * 500), 100),
        num_threads=min(num_threads, 2),
        max_enqueued_batches=max(int(max_wait_ms / by_size[largest]), 1),
    )


def pbtxt(batching: Batching) -> str:
    """As TF Serving reads it (`BatchingParameters` of session_bundle_config.proto).

    It is not let pad requests of other widths: it would with the first element of each tensor
    (batching_util.h), and so take padding for tokens. They are an error instead.
    """
    sizes = "".join(f"allowed_batch_sizes: {size}\n" for size in batching.allowed_batch_sizes)
    return (
        f"max_batch_size {{ value: {batching.max_batch_size} }}\n"
        f"batch_timeout_micros {{ value: {batching.timeout_us} }}\n"
        f"max_enqueued_batches {{ value: {batching.max_enqueued_batches} }}\n"
        f"num_batch_threads {{ value: {batching.num_threads} }}\n"
        f"{sizes}"
        "pad_variable_length_inputs: false\n"
    )
