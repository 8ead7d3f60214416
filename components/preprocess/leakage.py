"""Columns that give the label away: each is judged alone, cross-validated. Pure."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from ..label_sets import names_of

MIN_ROWS = 50
MIN_GAIN = 0.9  # of the way from the most frequent label's share to all rows right
MIN_ROWS_A_VALUE = 4  # on average; rarer values are names of rows, met again by duplicates only
MAX_NUMBERS = 200  # different labels that are numbers; more are a measure, not classes
MAX_FRACTIONS = 20  # the same when some are no whole numbers
MAX_OF_SEVERAL = 10  # labels that are judged alone where a row has several
MAX_CELL = 200  # characters looked at
MAX_PREFIX = 12
MAX_PARTS = 6
NO_NUMBER = -1e300  # below all others


@dataclass(frozen=True, kw_only=True)
class Leakage:
    """What happens when a column other than text and label tells the label."""

    columns: Literal["off", "warn", "fail"] = "warn"


class SampledRow(NamedTuple):
    """Equal rows of a sample, without their texts."""

    label: str
    others: tuple[tuple[str, str], ...]  # (column, cell as text)
    num_rows: int = 1


@dataclass(frozen=True, kw_only=True)
class LeakingColumn:
    """A column that predicts the label almost alone."""

    column: str
    how: str  # what of a cell tells it: "its value", "its first 8 characters"
    accuracy: float  # cross-validated
    majority: float  # share of the most frequent label
    num_rows: int


def merge_samples(
    parts: Iterable[Iterable[SampledRow]], most: int = 20_000
) -> tuple[SampledRow, ...]:
    """Equal rows counted together, and of the different ones the first `most` by their hash.

    However the rows come in parts and orders, and however often parts are merged in between, the
    sample is the same: a row among the first of all is among the first of its part.
    """
    counts: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
    for part in parts:
        for row in map(SampledRow._make, part):
            counts[row.label, row.others] += row.num_rows
    kept = sorted(counts, key=_rank)[:most]
    return tuple(SampledRow(label, others, counts[label, others]) for label, others in kept)


def leaking_columns(sample: Iterable[SampledRow]) -> tuple[LeakingColumn, ...]:
    """Columns that predict the label far better than its most frequent value does.

    Up to about a second for a column of 20,000 rows. Nothing is found for labels that are measures:
    numbers of many values.
    """
    rows = merge_samples([sample])
    majority = _majority(rows)
    if sum(row.num_rows for row in rows) < MIN_ROWS or majority == 1 or _are_measures(rows):
        return ()
    found = (best_view(rows, column) for column in _columns(rows))
    return tuple(best for best in found if best and gain(best) >= MIN_GAIN)


def leaking_one_of_several(
    sample: Iterable[SampledRow], separator: str
) -> tuple[LeakingColumn, ...]:
    """As `leaking_columns`, of rows with several labels: whether they have it is judged for each of
    the most frequent ones alone, and the worst is told of each column.
    """
    rows = list(sample)
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(dict.fromkeys(names_of(row.label, separator), row.num_rows))
    worst: dict[str, LeakingColumn] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], name))[:MAX_OF_SEVERAL]:
        asked = [
            row._replace(label="yes" if name in names_of(row.label, separator) else "no")
            for row in rows
        ]
        for column in leaking_columns(asked):
            found = replace(column, how=f"of {name!r}, {column.how}")
            known = worst.get(column.column)
            worst[column.column] = found if known is None else max(known, found, key=gain)
    return tuple(worst[column] for column in sorted(worst))


def gain(column: LeakingColumn) -> float:
    """0: no better than the most frequent label; 1: always right."""
    return (column.accuracy - column.majority) / (1 - column.majority)


def explain(column: LeakingColumn) -> str:
    """The warning: what was measured, what it means, what to do."""
    return (
        f"column {column.column!r} gives the label away: {column.how} alone predicts "
        f"{column.accuracy:.1%} of {column.num_rows:,} sampled rows (cross-validated; the most "
        f"frequent label: {column.majority:.1%}); the model sees no column but the text, so keep "
        "this one out of the text, and ask whether it was made from the label; to go on without "
        "this check, set preprocess.leakage.columns: off"
    )


def best_view(sample: Sequence[SampledRow], column: str) -> LeakingColumn | None:
    """The best of all ways to look at a column; the simpler of equals. None: none is apt.

    `sample` is sorted as `merge_samples` does it: that decides who is in which fold.
    """
    table = _Table(sample, column)
    best: tuple[float, str] | None = None
    for how, accuracy in _views(table):
        if best is None or accuracy > best[0]:
            best = (accuracy, how)
        if accuracy == 1:
            break
    if best is None:
        return None
    return LeakingColumn(
        column=column,
        how=best[1],
        accuracy=best[0],
        majority=_majority(sample),
        num_rows=table.num_rows,
    )


class _Table:
    """The cells of one column, and the label and the rows in each of two folds beside each."""

    def __init__(self, sample: Sequence[SampledRow], column: str) -> None:
        names = {name: i for i, name in enumerate(sorted({row.label for row in sample}))}
        self.num_labels = len(names)
        self.num_rows = sum(row.num_rows for row in sample)
        self.cells = [dict(row.others).get(column, "")[:MAX_CELL] for row in sample]
        self.labels = [names[row.label] for row in sample]
        # Equal rows are halved; single rows alternate in the order of their hash.
        halves = [(row.num_rows + i % 2) // 2 for i, row in enumerate(sample)]
        others = [row.num_rows - half for half, row in zip(halves, sample, strict=True)]
        self.folds = (halves, others)  # rows in each fold, by place

    def accuracy(self, keys: Sequence[Hashable]) -> float | None:
        """Of the label most frequent beside the same key in the other fold; None: rare keys."""
        if len(set(keys)) * MIN_ROWS_A_VALUE > self.num_rows:
            return None
        right = 0
        for fold, other in ((0, 1), (1, 0)):
            told = _told(keys, self.labels, self.folds[other])
            usual = _told([None] * len(keys), self.labels, self.folds[other]).get(None)
            rows = zip(keys, self.labels, self.folds[fold], strict=True)
            right += sum(num for key, label, num in rows if told.get(key, usual) == label)
        return right / self.num_rows


def _told(
    keys: Sequence[Hashable], labels: Sequence[int], nums: Sequence[int]
) -> dict[Hashable, int]:
    """The most frequent label of each key, the first of equals."""
    counts: Counter[tuple[Hashable, int]] = Counter()
    for pair, num in zip(zip(keys, labels, strict=True), nums, strict=True):
        counts[pair] += num
    # The last of a key stays: its most frequent label.
    ordered = sorted(counts.items(), key=lambda entry: (entry[1], -entry[0][1]))
    return {key: label for (key, label), num in ordered if num}


def _views(table: _Table) -> Iterator[tuple[str, float]]:
    """Ways to look at a column, the plain ones first, with their accuracy."""
    for how, keys in _key_views(table.cells):
        accuracy = table.accuracy(keys)
        if accuracy is not None:
            yield how, accuracy
    yield from _number_view(table)


def _key_views(cells: list[str]) -> Iterator[tuple[str, list[Hashable]]]:
    yield "its value", list(cells)
    parts = [re.split(r"[/_\-:.,]", cell) for cell in cells]
    most = max(map(len, parts), default=1)
    if most > 1:
        for i in range(min(most, MAX_PARTS)):
            how = f"part {i + 1} of it (cut at / _ - : . ,)"
            yield how, [part[i] if i < len(part) else "" for part in parts]
        yield "the last part of it (cut at / _ - : . ,)", [part[-1] for part in parts]
    for size in range(1, MAX_PREFIX + 1):
        how = "its first character" if size == 1 else f"its first {size} characters"
        yield how, [cell[:size] for cell in cells]
    yield "its length", [len(cell) for cell in cells]
    yield "its shape (letters, digits, signs)", [_shape(cell) for cell in cells]


def _shape(cell: str) -> str:
    """`train/neg/8446_1` -> `a/a/0_0`."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", cell))


def _number_view(table: _Table) -> Iterator[tuple[str, float]]:
    """A small decision tree on the first number in the cell."""
    numbers = [_number(cell) for cell in table.cells]
    if len(set(numbers)) < 3:  # nothing that the value has not said
        return
    import numpy as np
    from sklearn.tree import DecisionTreeClassifier

    # Ranks in place of numbers: the tree would round large ones to 32 bits.
    values, ranks = np.unique(np.array(numbers), return_inverse=True)
    features, labels = ranks.reshape(-1, 1), np.array(table.labels)
    weights = np.array(table.folds).T
    right, cuts = 0, []
    for fold in (0, 1):
        known, seen = weights[:, 1 - fold] > 0, weights[:, fold] > 0
        tree = DecisionTreeClassifier(max_leaf_nodes=2 * table.num_labels + 2, random_state=0)
        tree.fit(features[known], labels[known], sample_weight=weights[known, 1 - fold])
        hits = tree.predict(features[seen]) == labels[seen]
        right += int(weights[seen, fold][hits].sum())
        cuts = sorted(int(cut) for cut in tree.tree_.threshold[tree.tree_.feature >= 0])
    shown = [f"{(values[cut] + values[cut + 1]) / 2:g}" for cut in cuts if values[cut] > NO_NUMBER]
    cut_at = ", ".join(shown[:3]) + (", …" if len(shown) > 3 else "")
    yield (f"its number, cut at {cut_at}" if shown else "its number"), right / table.num_rows


def _number(cell: str) -> float:
    """The first number in a cell; `NO_NUMBER` when there is none."""
    match = re.search(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", cell)
    value = float(match[0]) if match else NO_NUMBER
    return value if math.isfinite(value) else NO_NUMBER


def _rank(row: tuple[str, tuple[tuple[str, str], ...]]) -> bytes:
    return hashlib.blake2b(json.dumps(row).encode(), digest_size=16).digest()


def _columns(rows: Iterable[SampledRow]) -> list[str]:
    return sorted({column for row in rows for column, _ in row.others})


def _majority(rows: Iterable[SampledRow]) -> float:
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row.label] += row.num_rows
    return max(counts.values(), default=0) / max(counts.total(), 1)


def _are_measures(rows: Sequence[SampledRow]) -> bool:
    """Whether the labels are amounts, or names of rows, rather than classes."""
    labels = {row.label for row in rows}
    try:
        numbers = [float(label) for label in labels]
    except ValueError:
        return len(labels) * MIN_ROWS_A_VALUE > sum(row.num_rows for row in rows)
    whole = all(number.is_integer() for number in numbers)
    return len(numbers) > (MAX_NUMBERS if whole else MAX_FRACTIONS)
