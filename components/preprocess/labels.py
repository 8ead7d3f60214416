"""Label cells -> label ids. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ..contracts import Split
from ..label_sets import cell_of, names_of

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


def named(cell: str, names: Mapping[str, str], separator: str | None) -> str:
    """The cell with the names that its labels stand for; what stands for none stays."""
    if separator is None:
        return names.get(cell, cell)
    return cell_of((names.get(one, one) for one in names_of(cell, separator)), separator)


def unknown_name(cell: str, known: Collection[str], separator: str | None) -> str | None:
    """The first label of a cell that is not among the known; None when all are."""
    return next((name for name in names_of(cell, separator) if name not in known), None)


def told_of_sets(split: Split, label_names: Iterable[str]) -> str:
    """In how large a share of the rows each label stands, the most frequent first."""
    rows = split.num_examples
    counts = sorted(zip(split.label_counts, label_names, strict=True), key=lambda pair: -pair[0])
    shares = ", ".join(f"{name} {count / rows:.1%}" for count, name in counts[:MAX_SHOWN])
    more = f", and {len(counts) - MAX_SHOWN} more" if len(counts) > MAX_SHOWN else ""
    return (
        f"rows with {shares}{more}; without any label {split.num_unlabelled / rows:.1%}; "
        f"{sum(split.label_counts) / rows:.2f} labels a row"
    )


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
