"""Which shapes batches have, and how many batches an epoch takes: pure arithmetic.

A batch is as wide as the bucket that its rows fell into, so that short rows are not padded to the
longest one, while the shapes that an accelerator compiles stay few.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

BUCKET = "bucket"
"""Feature of a batch: the index of the bucket that it is of; see `dataset.in_one_shape`."""

_MOST_CANDIDATES = 128  # boundaries that are weighed against each other


def bucket_lengths(
    buckets: Sequence[int], *, sequence_length: int, longest: int
) -> tuple[int, ...]:
    """The widths of batches, increasing; the last takes every row.

    No buckets: one width, `sequence_length`. If `longest`, the longest row that there is, is wider
    than the last bucket, `sequence_length` is appended. Buckets that are not needed for `longest`
    are dropped.
    """
    if not buckets:
        return (sequence_length,)
    if buckets[-1] > sequence_length:
        raise ValueError(
            f"train.buckets: none may be longer than the rows of the shards ({sequence_length}); "
            f"received {list(buckets)}; drop the longer ones"
        )
    widths = list(buckets) if longest <= buckets[-1] else [*buckets, sequence_length]
    needed = next(i for i, width in enumerate(widths) if width >= longest)
    return tuple(widths[: needed + 1])


def choose_lengths(
    length_counts: Sequence[int],
    most: int,
    *,
    sequence_length: int,
    longest: int = 1,
    multiple: int = 8,
) -> tuple[int, ...]:
    """At most `most` widths, multiples of `multiple`, that pad the rows least.

    `length_counts[n]` rows have n tokens. The last width takes the longest of them, and a row of
    `longest` tokens, which another split may have; none is above `sequence_length`, which need not
    be a multiple. Exact over the multiples, or over 128 evenly spaced ones of them where there are
    more; fewer widths are returned where more gain nothing.
    """
    longest = max(longest, *(n for n, count in enumerate(length_counts) if count), 1)
    length_counts = [*length_counts, *[0] * (longest + 1 - len(length_counts))]
    step = multiple * -(-longest // (multiple * _MOST_CANDIDATES))
    ends = [min(end, sequence_length) for end in range(step, longest + step, step)]
    rows = [0, *itertools.accumulate(length_counts)]
    below = [0, *(rows[min(end, longest) + 1] for end in ends)]  # rows that fit into each
    # cost[j]: fewest positions for the rows that fit into ends[j - 1] with the widths so far.
    cost = [0.0, *([float("inf")] * len(ends))]
    chosen: list[list[int]] = []
    for _ in range(min(most, len(ends))):
        chosen.append([0] * (len(ends) + 1))
        before, cost = cost, [0.0, *([float("inf")] * len(ends))]
        for j in range(1, len(ends) + 1):
            for i in range(j):
                total = before[i] + (below[j] - below[i]) * ends[j - 1]
                if total < cost[j]:
                    cost[j], chosen[-1][j] = total, i
        if cost[-1] >= before[-1]:  # one more width gains nothing
            chosen.pop()
            break
    widths, j = [], len(ends)
    for came_from in reversed(chosen):
        if j == 0:
            break
        widths.append(ends[j - 1])
        j = came_from[j]
    return tuple(sorted(widths))


def batch_rows(lengths: Sequence[int], *, widest: int, constant_tokens: bool) -> tuple[int, ...]:
    """Rows of a global batch of each width.

    `widest` rows at the last width; with `constant_tokens` narrower ones take as many more as
    keep the positions of a step about the same, never more of them.
    """
    if not constant_tokens:
        return (widest,) * len(lengths)
    return tuple(widest * lengths[-1] // length for length in lengths)


def rows_per_bucket(length_counts: Sequence[int], lengths: Sequence[int]) -> tuple[int, ...]:
    """How many rows fall into each bucket; `length_counts[n]` rows have n tokens."""
    edges = [0, *(length + 1 for length in lengths)]
    counts = [sum(length_counts[a:b]) for a, b in itertools.pairwise(edges)]
    assert sum(counts) == sum(length_counts), "a row is longer than the last bucket"
    return tuple(counts)


def num_batches(
    length_counts: Sequence[int], lengths: Sequence[int], rows: Sequence[int]
) -> tuple[int, ...]:
    """Batches of each width in one pass; the last of a bucket is filled up, so each rounds up.

    `rows` are those that a batch of each width takes.
    """
    counts = rows_per_bucket(length_counts, lengths)
    return tuple(-(-count // size) for count, size in zip(counts, rows, strict=True))


def padding_share(
    length_counts: Sequence[int],
    lengths: Sequence[int],
    rows: Sequence[int],
    shape_rows: Sequence[int],
) -> float:
    """The share of the computed positions that hold no token.

    A batch takes `rows` and is filled up to `shape_rows`.
    """
    tokens = sum(length * count for length, count in enumerate(length_counts))
    batches = num_batches(length_counts, lengths, rows)
    positions = sum(
        number * size * length
        for number, size, length in zip(batches, shape_rows, lengths, strict=True)
    )
    return 1 - tokens / positions if positions else 0.0
