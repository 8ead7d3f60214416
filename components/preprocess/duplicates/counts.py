"""Rows that share their key -> how many there are of them, split by split. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...example_spec import SPLITS
from .found import MAX_EXAMPLES, Example, Within
from .grouping import begins, group_sizes


def count_repeats(rows: Any, names: tuple[str, ...]) -> tuple[Within, ...]:
    """One record for each split; `rows` as `duplicate_search` sorts them: by key, split, label."""
    first = begins(rows, "key", "split")
    starts, sizes = np.flatnonzero(first), group_sizes(first)
    if not len(starts):
        return tuple(Within(split=split) for split in SPLITS)
    labels = begins(rows, "key", "split", "label")
    totals = np.add.reduceat(rows["weight"], starts)
    num_labels = np.add.reduceat(labels, starts, dtype=int)
    found = []
    for number, split in enumerate(SPLITS):
        mine = rows["split"][starts] == number
        repeated, conflicting = mine & (totals > 1), mine & (num_labels > 1)
        groups = [rows[starts[i] : starts[i] + sizes[i]] for i in _some(repeated)]
        torn = [
            rows[starts[i] : starts[i] + sizes[i]][labels[starts[i] : starts[i] + sizes[i]]]
            for i in _some(conflicting)
        ]
        found.append(
            Within(
                split=split,
                exact_rows=int((totals[repeated] - 1).sum()),
                exact_contents=int(repeated.sum()),
                conflict_rows=int(totals[conflicting].sum()),
                exact_examples=tuple(_first_two(group, names) for group in groups),
                conflict_examples=tuple(_first_two(group, names) for group in torn),
            )
        )
    return tuple(found)


def _some(chosen: Any) -> list[int]:
    return list(np.flatnonzero(chosen)[:MAX_EXAMPLES])


def _first_two(group: Any, names: tuple[str, ...]) -> Example:
    origins = sorted((names[row["file"]], int(row["row"])) for row in group)
    first, second = (f"{file}:{row}" for file, row in origins[:2])
    return Example(first=first, second=second, similarity=1.0)
