"""The largest batch is found in few compiles, and every answer was compiled."""

from __future__ import annotations

from typing import Any

import pytest

from tpuline.pipeline.hardware.preflight.search import Tried, largest_batch


def grows(base: int, per_row: int, limit: int, calls: list[int]) -> Any:
    """A compiler to whom a batch takes `base` + `per_row` for each row."""

    def compile_batch(size: int) -> Tried:
        calls.append(size)
        peak = base + per_row * size
        return Tried(global_batch_size=size, peak_bytes=peak, fits=peak <= limit)

    return compile_batch


@pytest.mark.parametrize("limit", [1_000, 10_007, 99_990])
def test_search_finds_the_largest_batch_of_linear_memory_in_few_compiles(limit: int) -> None:
    calls: list[int] = []
    found = largest_batch(grows(100, 7, limit, calls), step=8, usable_bytes=limit, limit=10**6)
    expected = (limit - 100) // 7 // 8 * 8
    assert (found.largest, found.refused) == (expected, expected + 8)
    assert len(calls) == len(set(calls)) <= 5


def test_search_confirms_by_compiling_where_memory_is_not_linear() -> None:
    """Above 1,000 rows a compiler saves memory: the line alone would stop too early."""

    def saving(size: int) -> Tried:
        peak = 10 * size if size <= 1_000 else 10_000 + 2 * (size - 1_000)
        return Tried(global_batch_size=size, peak_bytes=peak, fits=peak <= 12_000)

    found = largest_batch(saving, step=8, usable_bytes=12_000, limit=10**6)
    assert (found.largest, found.refused) == (2_000, 2_008)


def test_search_starts_from_what_was_compiled_before() -> None:
    calls: list[int] = []
    compile_batch = grows(100, 7, 10_007, calls)
    known = compile_batch(4_096)
    calls.clear()
    found = largest_batch(compile_batch, step=8, known=(known,), usable_bytes=10_007, limit=10**6)
    assert found.largest == 1_408
    assert [t.global_batch_size for t in found.tried] == calls
    assert 4_096 not in calls


def test_search_says_so_when_not_even_one_row_fits() -> None:
    found = largest_batch(grows(100, 7, 50, []), step=8, usable_bytes=50, limit=10**6)
    assert (found.largest, found.refused) == (0, 8)


def test_search_ends_where_memory_does_not_grow() -> None:
    found = largest_batch(grows(100, 0, 10_000, []), step=8, usable_bytes=10_000, limit=1_000)
    assert (found.largest, found.refused) == (1_000, None)
