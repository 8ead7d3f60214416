"""Label cells -> label ids. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

MAX_LABELS = 10_000
"""More than that is not a class label but an identifier or a free text."""

MAX_SHOWN = 20  # names in a message


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The names by id, and the id of every cell that is known."""

    names: tuple[str, ...]
    ids: Mapping[str, int]  # by cell: a name, or a number when the names are configured

    def by_cell(self) -> dict[str, str]:
        """The name that each known cell stands for."""
        return {cell: self.names[number] for cell, number in self.ids.items()}


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


def known_labels(cells: Mapping[str, Collection[str]]) -> Collection[str] | None:
    """The labels whose rows count, of those that each split has: what train has; None: all.

    Rows with a label that was not configured are no more among them.
    """
    train = set(cells.get("train", ()))
    return None if all(train >= set(found) for found in cells.values()) else train


def unknown_label(cell: str, names: Iterable[str]) -> str:
    """What is wrong with a row of this label, in words."""
    return f"{cell!r} is not among the labels {', '.join(sorted(names)[:MAX_SHOWN])}"


def _is_integer(cell: str) -> bool:
    return cell.removeprefix("-").isdecimal() and cell.isascii()
