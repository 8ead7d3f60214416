"""Label cells -> label ids. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MAX_LABELS = 10_000
"""More than that is not a class label but an identifier or a free text."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The names by id, and the id of every cell that is known."""

    names: tuple[str, ...]
    ids: Mapping[str, int]  # by cell: a name, or a number when the names are configured


def learn_labels(train_cells: Iterable[str]) -> Labels:
    """The different cells of train, sorted: by value when all are whole numbers, else as text."""
    cells = set(train_cells)
    if all(_is_integer(cell) for cell in cells):
        names = sorted(cells, key=lambda cell: (int(cell), cell))
    else:
        names = sorted(cells)
    return Labels(names=tuple(names), ids={name: i for i, name in enumerate(names)})


def configured_labels(names: tuple[str, ...]) -> Labels:
    """Configured names; cells may hold their numbers too, unless the names are numbers."""
    ids = {name: i for i, name in enumerate(names)}
    if not any(_is_integer(name) for name in names):
        ids |= {str(i): i for i in range(len(names))}
    return Labels(names=names, ids=ids)


def _is_integer(cell: str) -> bool:
    return cell.removeprefix("-").isdecimal() and cell.isascii()
