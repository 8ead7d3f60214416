"""Which rows of a file a worker handles, where several read one big file together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

RUN_ROWS = 256  # consecutive rows that stay together

T = TypeVar("T")


@dataclass(kw_only=True)
class Stripe:
    """Every `num_stripes`-th run of rows, from run `index` on; all workers read the whole file.

    Rows are counted as they stand in the file, sound or not, and no further than `limit`.
    """

    index: int = 0
    num_stripes: int = 1
    limit: int | None = None  # rows of the file; None: all
    count: int = 0  # rows met so far, of whatever stripe

    def of(self, records: Iterable[T]) -> Iterator[T]:
        """The records of this stripe; the others are counted only."""
        if self.num_stripes == 1:
            for record in islice(records, self.limit):
                self.count += 1
                yield record
            return
        for record in islice(records, self.limit):
            mine = self.count // RUN_ROWS % self.num_stripes == self.index
            self.count += 1
            if mine:
                yield record

    def parts(self, num_rows: int) -> Iterator[tuple[int, int]]:
        """Of the `num_rows` that come next: the first and how many, of each part to handle."""
        start = self.count
        end = start + num_rows if self.limit is None else min(start + num_rows, self.limit)
        self.count = end
        if self.num_stripes == 1:
            if end > start:
                yield 0, end - start
            return
        for run in range(start // RUN_ROWS, -(-end // RUN_ROWS)):
            if run % self.num_stripes == self.index:
                first, last = max(start, run * RUN_ROWS), min(end, (run + 1) * RUN_ROWS)
                yield first - start, last - first

    @property
    def is_over(self) -> bool:
        """Whether no row of the file is wanted any more."""
        return self.limit is not None and self.count >= self.limit
