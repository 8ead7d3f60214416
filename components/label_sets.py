"""None, one or several labels of a row in one cell: `angry|refund`. Pure.

Multi-label data has a separator; where it is None, a cell is the one label that its row has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def names_of(cell: str, separator: str | None) -> tuple[str, ...]:
    """The labels in a cell as `cell_of` writes it."""
    if separator is None:
        return (cell,)
    return tuple(cell.split(separator)) if cell else ()


def cell_of(names: Iterable[str], separator: str) -> str:
    """Labels as one cell: sorted and each once, so that equal sets of them are equal cells."""
    return separator.join(sorted(set(names)))


def multi_hot(rows: Sequence[Sequence[int]], num_labels: int) -> np.ndarray:
    """The label ids of each row -> bool `(N, C)`."""
    import numpy as np

    hot_NC = np.zeros((len(rows), num_labels), bool)
    for hot_C, ids in zip(hot_NC, rows, strict=True):
        hot_C[list(ids)] = True
    return hot_NC
