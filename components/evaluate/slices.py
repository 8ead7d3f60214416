"""Answers -> accuracy on parts of the rows: by length, by true label. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..contracts import Interval, Slice

if TYPE_CHECKING:
    import numpy as np

MIN_ROWS = 30
"""Smaller parts tell nothing: their intervals would span a third of the scale."""

LENGTH_PARTS = 4


def slices(
    right_N: np.ndarray, labels_N: np.ndarray, lengths_N: np.ndarray, label_names: tuple[str, ...]
) -> tuple[Slice, ...]:
    """Quarters of the rows by length, then labels; parts of fewer than `MIN_ROWS` are left out.

    Args:
        right_N: bool, whether the answer is right.
        labels_N: true label ids.
        lengths_N: characters of each text.
    """
    made = [*_by_length(right_N, lengths_N), *_by_label(right_N, labels_N, label_names)]
    return tuple(one for one in made if one.num_rows >= MIN_ROWS)


def worst(parts: tuple[Slice, ...]) -> Slice | None:
    """The part of least accuracy; None where there are no parts."""
    return min(parts, key=lambda part: part.accuracy.value, default=None)


def _by_length(right_N: np.ndarray, lengths_N: np.ndarray) -> Iterator[Slice]:
    import numpy as np

    shares = [part / LENGTH_PARTS for part in range(1, LENGTH_PARTS)]
    edges = np.unique(np.quantile(lengths_N, shares, method="lower")).astype(int)
    bounds = [int(lengths_N.min()) - 1, *edges.tolist(), int(lengths_N.max())]
    for low, high in itertools.pairwise(bounds):
        chosen = (lengths_N > low) & (lengths_N <= high)
        if chosen.any():
            yield _slice("characters", f"{low + 1:,} to {high:,}", right_N[chosen])


def _by_label(
    right_N: np.ndarray, labels_N: np.ndarray, label_names: tuple[str, ...]
) -> Iterator[Slice]:
    for label, name in enumerate(label_names):
        chosen = labels_N == label
        if chosen.any():
            yield _slice("label", name, right_N[chosen])


def _slice(column: str, value: str, right: np.ndarray) -> Slice:
    return Slice(
        column=column,
        value=value,
        num_rows=len(right),
        accuracy=wilson(int(right.sum()), len(right)),
    )


def wilson(hits: int, num_rows: int) -> Interval:
    """A share with its 95 % interval, which holds for few rows too: Wilson 1927."""
    from scipy.stats import binomtest

    bounds = binomtest(hits, num_rows).proportion_ci(method="wilson")
    return Interval(value=hits / num_rows, low=float(bounds.low), high=float(bounds.high))
