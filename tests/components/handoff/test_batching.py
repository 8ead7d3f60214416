"""Batches up to where more of them only cost latency."""

from __future__ import annotations

import pytest

from tpuline.components.handoff.batching import BatchTime, batching, knee, pbtxt


def times(**ms: float) -> list[BatchTime]:
    return [BatchTime(batch_size=int(name[1:]), ms=value) for name, value in ms.items()]


@pytest.mark.parametrize(
    ("measured", "size"),
    [
        (times(b1=10, b2=10, b4=10, b8=20, b16=40), 4),  # an accelerator with room for four
        (times(b1=10, b2=20, b4=40), 1),  # batches gain nothing
        (times(b1=10, b2=19, b4=32), 4),  # each gains a bit, the last enough
        (times(b1=10, b2=11, b4=21), 2),
    ],
)
def test_knee_is_the_smallest_batch_near_the_best_throughput(
    measured: list[BatchTime], size: int
) -> None:
    assert knee(measured) == size


def test_server_batches_up_to_the_knee_and_waits_half_a_request() -> None:
    made = batching(times(b1=10, b2=10, b4=10, b8=20), num_threads=16, max_wait_ms=1000)
    assert made.batch_sizes == (1, 2, 4)
    assert made.max_batch_size == 4
    assert made.timeout_us == 5000
    assert made.max_enqueued_batches == 100  # ten milliseconds each, one after another
    assert made.num_threads == 2


@pytest.mark.parametrize(
    ("measured", "max_wait_ms", "size"),
    [
        (times(b1=10, b2=10, b4=10, b8=20), 1000, 400),  # as many as may queue
        (times(b1=500, b2=990), 1000, 32),  # two could, but requests of 32 are timed
        (times(b1=10, b8=20, b64=90), 0.001, 64),
    ],
)
def test_request_may_be_larger_than_a_batch_and_as_large_as_the_queue(
    measured: list[BatchTime], max_wait_ms: float, size: int
) -> None:
    made = batching(measured, num_threads=2, max_wait_ms=max_wait_ms)
    assert made.max_request_size == made.max_enqueued_batches * made.max_batch_size == size


def test_text_has_every_field_of_the_server() -> None:
    made = batching(times(b1=10, b2=10), num_threads=2, max_wait_ms=200)
    assert pbtxt(made).splitlines() == [
        "max_batch_size { value: 40 }",  # of one request
        "enable_large_batch_splitting { value: true }",
        "max_execution_batch_size { value: 2 }",
        "batch_timeout_micros { value: 5000 }",
        "max_enqueued_batches { value: 20 }",
        "num_batch_threads { value: 2 }",
        "pad_variable_length_inputs: false",
    ]
