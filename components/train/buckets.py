"""Which widths batches have, and how many batches an epoch takes: pure arithmetic.

A batch is as wide as the bucket that its rows fell into, so that short rows are not padded to the
longest one, while an accelerator still compiles only one program a bucket.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence


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


def rows_per_bucket(length_counts: Sequence[int], lengths: Sequence[int]) -> tuple[int, ...]:
    """How many rows fall into each bucket; `length_counts[n]` rows have n tokens."""
    edges = [0, *(length + 1 for length in lengths)]
    counts = [sum(length_counts[a:b]) for a, b in itertools.pairwise(edges)]
    assert sum(counts) == sum(length_counts), "a row is longer than the last bucket"
    return tuple(counts)


def num_batches(length_counts: Sequence[int], lengths: Sequence[int], batch_size: int) -> int:
    """Batches in one pass; the last batch of a bucket is filled up, so each rounds up."""
    return sum(-(-rows // batch_size) for rows in rows_per_bucket(length_counts, lengths))


def padding_share(length_counts: Sequence[int], lengths: Sequence[int], batch_size: int) -> float:
    """The share of the computed positions that hold no token, the filled-up rows included."""
    tokens = sum(length * count for length, count in enumerate(length_counts))
    rows = rows_per_bucket(length_counts, lengths)
    batches = (-(-n // batch_size) for n in rows)
    positions = sum(n * batch_size * length for n, length in zip(batches, lengths, strict=True))
    return 1 - tokens / positions if positions else 0.0
