"""Rows -> batches that are worth a TensorFlow call and fit in memory whatever the texts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

MAX_ROWS = 256
MAX_CHARACTERS = 2_000_000

T = TypeVar("T")


def batches(rows: Iterable[T], num_characters: Callable[[T], int]) -> Iterator[list[T]]:
    """Batches of at most `MAX_ROWS`; ended early once they hold `MAX_CHARACTERS`."""
    batch: list[T] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += num_characters(row)
        if len(batch) == MAX_ROWS or size >= MAX_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
