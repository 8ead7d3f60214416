"""Structured numpy arrays as tables: sorted by some columns, cut where these change. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np


def sorted_by(table: Any, *columns: str) -> Any:
    """The rows in order; equal ones keep theirs."""
    return table[np.lexsort([table[column] for column in reversed(columns)])]


def begins(table: Any, *columns: str) -> Any:
    """bool (N,): whether a row of a sorted table is the first of those alike in `columns`."""
    first = np.zeros(len(table), bool)
    first[:1] = True
    for column in columns:
        first[1:] |= table[column][1:] != table[column][:-1]
    return first


def first_of_each(table: Any, *columns: str, then: tuple[str, ...] = ()) -> Any:
    """One row for each value of `columns`, in order: the one that is first by `then`."""
    table = sorted_by(table, *columns, *then)
    return table[begins(table, *columns)]


def group_sizes(first: Any) -> Any:
    """int64: the number of rows of each group, from what `begins` returns."""
    return np.diff(np.flatnonzero(first), append=len(first))
