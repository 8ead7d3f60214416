"""Rows that share the hash of a band -> which to compare, and which links to keep. Pure.

Both are linear in the rows, however large a bucket is. Rows are given by their positions in a table
sorted by bucket (the column `value`), key and split.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .grouping import begins, first_of_each, group_sizes

BLOCK_PAIRS = 1 << 16
SMALL_BUCKET = 16  # rows; up to it, all are compared with all
NUM_HEADS = 3

LINK = np.dtype(
    [
        ("a", "<i8"),
        ("b", "<i8"),
        ("split_a", "<u1"),
        ("split_b", "<u1"),
        ("apart", "<i2"),  # values of the signatures that differ
    ]
)
"""Positions of two near rows: the split of a is before that of b, or the same and a before b."""


def in_mixed_bucket(rows: Any) -> Any:
    """bool: whether the bucket of a row has more than one content."""
    first = begins(rows, "value")
    bucket = np.cumsum(first) - 1
    contents = np.bincount(bucket[begins(rows, "value", "key")])
    return contents[bucket] > 1


def candidates(rows: Any) -> Iterator[tuple[Any, Any]]:
    """Positions of rows of different content to compare, in blocks.

    In a small bucket all are compared with all. In a larger one, a row only with the one before and
    with the heads, the first rows of each split. This is enough to drop: rows near to the same head
    are in one group through it, whichever else of them are near to each other, and a row of train
    that is near to a head of test is told to be so. A group in which none is near to a head may be
    missed in this bucket; other bands put its rows into other buckets.
    """
    first = begins(rows, "value")
    sizes = np.repeat(group_sizes(first), group_sizes(first))
    bucket = np.cumsum(first) - 1
    for ahead in range(1, SMALL_BUCKET):
        one = np.flatnonzero(bucket[ahead:] == bucket[:-ahead])
        if ahead > 1:
            one = one[sizes[one] <= SMALL_BUCKET]
        yield from _blocks(rows, one, one + ahead)
    large = np.flatnonzero(sizes > SMALL_BUCKET)
    for heads in _heads(rows[large]):
        yield from _blocks(rows, large[heads], large)


def links(rows: Any, one: Any, other: Any, apart: Any) -> Any:
    """LINK, from positions in any order and how many values of their signatures differ."""
    splits = rows["split"]
    turned = (splits[one] > splits[other]) | ((splits[one] == splits[other]) & (one > other))
    made = np.empty(len(one), LINK)
    made["a"], made["b"] = np.where(turned, other, one), np.where(turned, one, other)
    made["split_a"], made["split_b"] = splits[made["a"]], splits[made["b"]]
    made["apart"] = apart
    return made


def thinned(made: Any, num_rows: int) -> Any:
    """Of several links that say the same only one; they may have more columns than LINK.

    Across splits, each row a keeps the nearest row of each other split. Inside a split what is
    linked, directly or through others, stays linked: each row b keeps its link to the smallest
    key, and of the rest stay those that join what would else fall apart.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    same = made["split_a"] == made["split_b"]
    across = first_of_each(made[~same], "a", "split_b", then=("apart", "b"))
    inside = made[same]
    tree = first_of_each(inside, "b", then=("a",))
    graph = coo_array(
        (np.ones(len(tree), bool), (tree["a"], tree["b"])), shape=(num_rows, num_rows)
    )
    _, labels = connected_components(graph, directed=False)
    joining = inside[labels[inside["a"]] != labels[inside["b"]]]
    return np.concatenate([across, tree, joining])


def _heads(rows: Any) -> Iterator[Any]:
    """Positions (N,) of the first, second, ... row of each split in the bucket of each row.

    Where there is no such row, its own position.
    """
    bucket = np.cumsum(begins(rows, "value")) - 1
    for split in np.unique(rows["split"]):
        members = np.flatnonzero(rows["split"] == split)
        starts = np.searchsorted(bucket[members], bucket)
        for number in range(NUM_HEADS):
            head = members[np.minimum(starts + number, len(members) - 1)]
            yield np.where(bucket[head] == bucket, head, np.arange(len(rows)))


def _blocks(rows: Any, one: Any, other: Any) -> Iterator[tuple[Any, Any]]:
    different = rows["key"][one] != rows["key"][other]
    one, other = one[different], other[different]
    for start in range(0, len(one), BLOCK_PAIRS):
        yield one[start : start + BLOCK_PAIRS], other[start : start + BLOCK_PAIRS]
