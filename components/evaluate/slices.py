"""Answers -> accuracy on parts of the rows: length, true label, columns, language. Pure."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..contracts import Slice
from .metrics import wilson
from .shown import NO_LABEL

if TYPE_CHECKING:
    import numpy as np

LANGUAGE = "language"

LENGTH_PARTS = 4


@dataclass(frozen=True, kw_only=True)
class Slices:
    """Which parts of the rows are looked at, beside quarters by length and the labels."""

    columns: tuple[str, ...] = ()  # of preprocess.source.keep_columns
    language: bool = False  # as py3langid guesses it of the text; 0.4 ms a row
    # Smaller parts tell little: the interval of 30 rows spans up to a third of the scale.
    min_rows: int = 30
    max_values: int = 20  # of a column, the most frequent; the rows of the others are one part

    def __post_init__(self) -> None:
        for name in ("min_rows", "max_values"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name}: must be at least 1; received {getattr(self, name)}; the default is "
                    f"{type(self).__dataclass_fields__[name].default}"
                )
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(
                f"columns: must be different columns; received {', '.join(self.columns)}; name "
                "each once"
            )


def slices(
    right_N: np.ndarray,
    labels_N: np.ndarray,
    lengths_N: np.ndarray,
    label_names: tuple[str, ...],
    *,
    values: Mapping[str, Sequence[str]],
    settings: Slices,
) -> tuple[tuple[Slice, ...], int]:
    """Quarters of the rows by length, labels, then values by column; and how many parts were left
    out for having fewer than `settings.min_rows`.

    Args:
        right_N: bool, whether the answer is right.
        labels_N: true label ids; of multi-label data bool `(N, C)`, where a row is in the part of
            each of its labels, or in that of the rows without any.
        lengths_N: characters of each text.
        values: by column, or `LANGUAGE`, of each row.
    """
    made = [*_by_length(right_N, lengths_N), *_by_label(right_N, labels_N, label_names)]
    for column, cells in values.items():
        made += _by_value(right_N, column, cells, settings.max_values)
    kept = tuple(one for one in made if one.num_rows >= settings.min_rows)
    return kept, len(made) - len(kept)


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
    parts = [
        (name, labels_N == label if labels_N.ndim == 1 else labels_N[:, label])
        for label, name in enumerate(label_names)
    ]
    if labels_N.ndim == 2:
        parts.append((NO_LABEL, ~labels_N.any(axis=1)))
    for name, chosen in parts:
        if chosen.any():
            yield _slice("label", name, right_N[chosen])


def _by_value(
    right_N: np.ndarray, column: str, cells: Sequence[str], max_values: int
) -> Iterator[Slice]:
    import numpy as np

    counts = Counter(cells)
    # Equally frequent ones by name, so that the order of the rows does not matter.
    frequent = sorted(counts, key=lambda value: (-counts[value], value))[:max_values]
    places = {value: at for at, value in enumerate(frequent)}
    part_N = np.fromiter((places.get(cell, -1) for cell in cells), np.int64, len(cells))
    for value, at in places.items():
        yield _slice(column, value or "(empty)", right_N[part_N == at])
    if len(counts) > len(frequent):
        rest = f"{len(counts) - len(frequent):,} other values"
        yield _slice(column, rest, right_N[part_N == -1])


def _slice(column: str, value: str, right: np.ndarray) -> Slice:
    return Slice(
        column=column,
        value=value,
        num_rows=len(right),
        accuracy=wilson(int(right.sum()), len(right)),
    )
