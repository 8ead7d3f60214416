"""Fingerprints -> pairs of equal and of similar rows, many tasks side by side.

A task looks at one column of all fingerprints, the keys or the hashes of one band, and at a range
of its values. Rows that share their value are candidates; only of these anything else is read.
What it finds does not depend on how rows were spread over files.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import files
from .buckets import LINK, candidates, in_mixed_bucket, links, thinned
from .counts import count_repeats
from .fingerprints import (
    Chunk,
    FingerprintFile,
    band_column,
    chunks,
    label_hash,
    source_names,
)
from .found import DuplicatesConfig, Within
from .grouping import begins, first_of_each, group_sizes, sorted_by
from .minhash import SIGNATURE_VALUES, bands_for, num_differing

TASK_ROWS = 1 << 21
"""Rows that a task looks at, about: 8 bytes each in memory, and 400 more of each candidate."""

ROW = np.dtype(
    [
        ("value", "<u8"),
        ("key", "S16"),
        ("split", "<u1"),
        ("label", "<u8"),
        ("file", "<u4"),  # index into the sorted names of all source files
        ("row", "<u8"),
        ("place", "<i8"),  # its number among all fingerprints
        ("weight", "<i8"),  # how many rows it stands for
    ]
)
PAIR = np.dtype(
    [
        ("split_a", "<u1"),
        ("split_b", "<u1"),
        ("key_a", "S16"),
        ("key_b", "S16"),
        ("apart", "<u1"),  # values of the signatures that differ, of SIGNATURE_VALUES
        ("file_a", "<u4"),
        ("file_b", "<u4"),
        ("row_a", "<u8"),
        ("row_b", "<u8"),
    ]
)
"""Near or equal rows: the split of a is before that of b, or the same and a's key is smaller."""


@dataclass(frozen=True, kw_only=True)
class DuplicateTask:
    """One of `count` ranges of the values of one column."""

    files: tuple[FingerprintFile, ...]
    band: int | None  # None: of the keys
    index: int
    count: int
    similarity: float
    labels: tuple[int, ...] = ()  # hashes of those whose rows count; (): of all


@dataclass(frozen=True, kw_only=True)
class DuplicatePairs:
    """What one task found: pairs in a scratch file, and counts that need no other task."""

    task: DuplicateTask
    pairs_file: str  # records of PAIR; "" for none
    num_pairs: int
    within: tuple[Within, ...] = ()  # only of keys: every split


def tasks(
    fingerprint_files: Sequence[FingerprintFile],
    config: DuplicatesConfig,
    labels: Collection[str] | None = None,
) -> tuple[DuplicateTask, ...]:
    """All that is to be looked for, among the rows of these labels. None when there are no rows."""
    num_rows = sum(file.num_rows for file in fingerprint_files)
    num_bands = 0 if config.near == "off" else bands_for(config.similarity).count
    count = -(-num_rows // TASK_ROWS)
    return tuple(
        DuplicateTask(
            files=tuple(fingerprint_files),
            band=band,
            index=index,
            count=count,
            similarity=config.similarity,
            labels=() if labels is None else tuple(sorted(map(label_hash, labels))),
        )
        for band in (None, *range(num_bands))
        for index in range(count)
    )


def find(task: DuplicateTask, scratch: str) -> DuplicatePairs:
    """Does one task; may be done again."""
    names = source_names(task.files)
    rows = _repeated_rows(task, names)
    if task.band is None:
        pairs, within = _shared_keys(rows), count_repeats(rows, names)
    else:
        pairs, within = _similar(rows, task), ()
    path = ""
    if len(pairs):
        path = files.join(scratch, f"pairs-{uuid.uuid4().hex}.bin")
        files.write_bytes(path, pairs.tobytes())
    return DuplicatePairs(task=task, pairs_file=path, num_pairs=len(pairs), within=within)


def _repeated_rows(task: DuplicateTask, names: tuple[str, ...]) -> Any:
    """ROW: those that share their value with another one, sorted.

    Of rows alike in value, key, split and label only the first two stay: they stand for the others,
    so that a text that comes a million times takes no more memory than one that comes twice.
    """
    values = np.sort(np.concatenate([_values(chunk, task)[1] for chunk in chunks(task.files)]))
    repeated = np.unique(values[1:][values[1:] == values[:-1]])
    del values
    numbers = {name: number for number, name in enumerate(names)}
    parts = [np.empty(0, ROW)]
    num_rows = 0
    for chunk in chunks(task.files):
        parts.append(_rows(chunk, task, repeated, numbers))
        num_rows += len(parts[-1])
        if num_rows > TASK_ROWS // 2:
            parts = [_first_two(np.concatenate(parts))]
            num_rows = 0
    return _first_two(np.concatenate(parts))


def _values(chunk: Chunk, task: DuplicateTask) -> tuple[Any, Any]:
    """The numbers of the rows with a value in the task's range, and their values.

    Rows that will be set aside for their label are repeats of nothing.
    """
    if task.band is None:
        values = chunk.column("key").view(">u8")[::2].astype("<u8")
    else:
        values = chunk.column(band_column(task.band))
    first, after = (-(-(edge << 64) // task.count) for edge in (task.index, task.index + 1))
    mine = (values >= np.uint64(first)) & (values <= np.uint64(after - 1))
    if task.labels:
        mine &= np.isin(chunk.column("label"), np.array(task.labels, "<u8"))
    inside = np.flatnonzero(mine)
    return inside, values[inside]


def _rows(chunk: Chunk, task: DuplicateTask, repeated: Any, numbers: dict[str, int]) -> Any:
    inside, values = _values(chunk, task)
    if not len(repeated):
        return np.empty(0, ROW)
    places = np.minimum(np.searchsorted(repeated, values), len(repeated) - 1)
    again = repeated[places] == values
    inside = inside[again]
    rows = np.empty(len(inside), ROW)
    if len(rows):
        rows["value"] = values[again]
        for name in ("key", "split", "label", "row"):
            rows[name] = chunk.column(name)[inside]
        own_numbers = np.array([numbers[name] for name in chunk.names], "<u4")
        rows["file"] = own_numbers[chunk.column("file")[inside]]
        rows["place"] = chunk.first + inside
        rows["weight"] = 1
    return rows


def _first_two(rows: Any) -> Any:
    alike = ("value", "key", "split", "label")
    rows = sorted_by(rows, *alike, "file", "row")
    first = begins(rows, *alike)
    starts, sizes = np.flatnonzero(first), group_sizes(first)
    second = np.zeros(len(rows), bool)
    second[starts[sizes > 1] + 1] = True
    if len(rows):
        rows["weight"][starts] = np.add.reduceat(rows["weight"], starts)
        rows["weight"][second] = 1
        rows["weight"][starts[sizes > 1]] -= 1
    return rows[first | second]


def _shared_keys(rows: Any) -> Any:
    """PAIR: every content that several splits have, each two of them."""
    rows = first_of_each(rows, "key", "split", then=("file", "row"))
    blocks = [np.empty(0, PAIR)]
    for ahead in (1, 2):
        same = np.flatnonzero(rows["key"][ahead:] == rows["key"][:-ahead])
        blocks.append(_pairs(rows, links(rows, same, same + ahead, 0)))
    return np.concatenate(blocks)


def _similar(rows: Any, task: DuplicateTask) -> Any:
    """PAIR: rows of different content in the same bucket whose signatures are near."""
    rows = first_of_each(rows, "value", "key", "split", then=("file", "row"))
    rows = rows[in_mixed_bucket(rows)] if len(rows) else rows
    signatures = _signatures(task.files, rows["place"])
    most_apart = math.floor((1 - task.similarity) * SIGNATURE_VALUES + 1e-9)
    blocks = [np.empty(0, LINK)]
    for one, other in candidates(rows):
        apart = num_differing(signatures[one], signatures[other])
        near = apart <= most_apart
        blocks.append(links(rows, one[near], other[near], apart[near]))
    made = np.concatenate(blocks)
    return _pairs(rows, thinned(made, len(rows)) if len(made) else made)


def _signatures(fingerprint_files: Sequence[FingerprintFile], places: Any) -> Any:
    """uint16 (N, SIGNATURE_VALUES), of the rows with these places."""
    found = np.empty((len(places), SIGNATURE_VALUES), np.uint16)
    order = np.argsort(places)
    ordered = places[order]
    for chunk in chunks(fingerprint_files):
        start, end = np.searchsorted(ordered, [chunk.first, chunk.first + chunk.num_rows])
        if start < end:
            found[order[start:end]] = chunk.signatures(ordered[start:end] - chunk.first)
    return found


def _pairs(rows: Any, made: Any) -> Any:
    pairs = np.empty(len(made), PAIR)
    pairs["apart"] = made["apart"]
    for end in ("a", "b"):
        for name in ("split", "key", "file", "row"):
            pairs[f"{name}_{end}"] = rows[name][made[end]]
    return pairs
