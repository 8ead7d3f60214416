"""Rows of any length -> batches of rows of about one length. Pure.

A model pads a batch to its longest row, so one long text makes a whole batch as dear as itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

MAX_CHARACTERS = 2_000_000  # of one batch


def batches(lengths: Sequence[int], max_rows: int) -> Iterator[list[int]]:
    """The places of rows of `lengths` characters, each once, in batches of neighbours by length.

    At most `max_rows` a batch; ended early once they hold `MAX_CHARACTERS`.
    """
    batch: list[int] = []
    size = 0
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        batch.append(place)
        size += lengths[place]
        if len(batch) == max_rows or size >= MAX_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
