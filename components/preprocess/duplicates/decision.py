"""Pairs from all tasks -> what was found in all, and which keys train must do without."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from ... import files
from ...example_spec import SPLITS
from .buckets import LINK, thinned
from .dropped import DROP, REASONS, write_dropped
from .fingerprints import source_names
from .found import MAX_EXAMPLES, Across, Duplicates, DuplicatesConfig, Example, Within
from .grouping import first_of_each
from .minhash import SIGNATURE_VALUES
from .search import PAIR, DuplicatePairs

MANY_PAIRS = 1 << 20
"""Read between two times that they are thinned."""

_TRAIN, _VALIDATION, _TEST = range(3)
_ORDER = ("split_a", "split_b", "key_a", "key_b")


def resolve(found: Sequence[DuplicatePairs], config: DuplicatesConfig, scratch: str) -> Duplicates:
    """Adds up what the tasks found, given in any order.

    Holds a few pairs for each row that is near to another, 61 bytes each.

    Raises:
        ValueError: a content comes twice in one split, and the config calls this an error.
    """
    if not found:
        return Duplicates()
    found = sorted(found, key=_order)
    names = source_names(found[0].task.files)
    pairs = _load(found)
    looked = config.near != "off"
    groups = {split: _groups(pairs, split) for split in range(len(SPLITS))}
    within = tuple(
        _add_near(_add_up(split, found), pairs, groups[number], number, names)
        if looked
        else _add_up(split, found)
        for number, split in enumerate(SPLITS)
    )
    if config.exact == "error":
        _check_no_repeat(within)
    across = tuple(
        _across(_between(pairs, a, b), (SPLITS[a], SPLITS[b]), looked, names)
        for a, b in combinations(range(len(SPLITS)), 2)
    )
    drops = _drops(pairs, groups[_TRAIN], config)
    if not len(drops):
        return Duplicates(within=within, across=across)
    path = files.join(scratch, f"dropped-{uuid.uuid4().hex}.bin")
    write_dropped(drops, names, path)
    return Duplicates(within=within, across=across, dropped_file=path)


class _Groups(NamedTuple):
    """The contents of one split that are near to others of it, directly or through others."""

    nodes: Any  # key, file, row of each content, sorted by key
    labels: Any  # int32: the number of its group
    num_groups: int


def _load(found: Sequence[DuplicatePairs]) -> Any:
    """PAIR, sorted, each pair once: similar rows meet in many bands."""
    parts = [np.empty(0, PAIR)]
    for part in found:
        if part.pairs_file:
            parts.append(np.frombuffer(files.read_bytes(part.pairs_file), PAIR))
        if sum(map(len, parts[1:])) > MANY_PAIRS:
            parts = [_thinned(np.concatenate(parts))]
    return first_of_each(np.concatenate(parts), *_ORDER)


def _thinned(pairs: Any) -> Any:
    """As each task has thinned its own."""
    equal = pairs["key_a"] == pairs["key_b"]
    near = pairs[~equal]
    keys, numbers = np.unique(np.concatenate([near["key_a"], near["key_b"]]), return_inverse=True)
    made = np.empty(len(near), [*LINK.descr, ("number", "<i8")])
    for end, of_end in (("a", numbers[: len(near)]), ("b", numbers[len(near) :])):
        made[f"split_{end}"] = near[f"split_{end}"]
        made[end] = of_end * len(SPLITS) + near[f"split_{end}"]
    made["apart"], made["number"] = near["apart"], np.arange(len(near))
    kept = thinned(made, len(keys) * len(SPLITS))["number"]
    return np.concatenate([pairs[equal], near[kept]])


def _order(part: DuplicatePairs) -> tuple[int, int]:
    """The tasks that looked at keys first."""
    band = part.task.band
    return (-1 if band is None else band), part.task.index


def _add_up(split: str, found: Sequence[DuplicatePairs]) -> Within:
    """Of the tasks that looked at keys: no two of them saw the same one."""
    parts = [within for part in found for within in part.within if within.split == split]
    return Within(
        split=split,
        exact_rows=sum(part.exact_rows for part in parts),
        exact_contents=sum(part.exact_contents for part in parts),
        conflict_rows=sum(part.conflict_rows for part in parts),
        exact_examples=sum((part.exact_examples for part in parts), ())[:MAX_EXAMPLES],
        conflict_examples=sum((part.conflict_examples for part in parts), ())[:MAX_EXAMPLES],
    )


def _add_near(
    within: Within, pairs: Any, groups: _Groups, split: int, names: tuple[str, ...]
) -> Within:
    return replace(
        within,
        near_contents=len(groups.nodes) - groups.num_groups,
        near_examples=_examples(_between(pairs, split, split), names),
    )


def _check_no_repeat(within: Sequence[Within]) -> None:
    for part in within:
        if part.exact_examples:
            example = part.exact_examples[0]
            raise ValueError(
                "preprocess.duplicates.exact: no content may come twice in one split; received "
                f"{example.first} and {example.second}, equal rows of {part.split} (repeated rows "
                f"in all: {part.exact_rows:,}); take them out, or set it to drop or report"
            )


def _between(pairs: Any, a: int, b: int) -> Any:
    return pairs[(pairs["split_a"] == a) & (pairs["split_b"] == b)]


def _across(pairs: Any, splits: tuple[str, str], looked: bool, names: tuple[str, ...]) -> Across:
    equal = pairs[pairs["key_a"] == pairs["key_b"]]
    near = pairs[~np.isin(pairs["key_a"], equal["key_a"])]
    return Across(
        first=splits[0],
        second=splits[1],
        exact_contents=len(equal),
        near_contents=len(np.unique(near["key_a"])) if looked else None,
        exact_examples=_examples(equal, names),
        near_examples=_examples(near, names),
    )


def _examples(pairs: Any, names: tuple[str, ...]) -> tuple[Example, ...]:
    """The first ones: they are in the order of keys, so of no kind in particular."""
    return tuple(
        Example(
            first=f"{names[pair['file_a']]}:{pair['row_a']}",
            second=f"{names[pair['file_b']]}:{pair['row_b']}",
            similarity=round(1 - int(pair["apart"]) / SIGNATURE_VALUES, 3),
        )
        for pair in pairs[:MAX_EXAMPLES]
    )


def _groups(pairs: Any, split: int) -> _Groups:
    """Connected components of what is near to each other inside the split."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = _between(pairs, split, split)
    ends = np.empty(2 * len(pairs), [("key", "S16"), ("file", "<u4"), ("row", "<u8")])
    for name in ("key", "file", "row"):
        ends[name] = np.concatenate([pairs[f"{name}_a"], pairs[f"{name}_b"]])
    _, firsts, numbers = np.unique(ends["key"], return_index=True, return_inverse=True)
    if not len(firsts):
        return _Groups(ends, np.empty(0, np.int32), 0)
    linked = numbers[: len(pairs)], numbers[len(pairs) :]
    size = len(firsts)
    graph = coo_array((np.ones(len(pairs), bool), linked), shape=(size, size))
    count, labels = connected_components(graph, directed=False)
    return _Groups(ends[firsts], labels, count)


def _drops(pairs: Any, groups: _Groups, config: DuplicatesConfig) -> Any:
    drops = _shared(pairs) if config.across == "drop" else np.empty(0, DROP)
    if config.near == "drop":
        drops = np.concatenate([drops, _alike(groups, drops["key"])])
    return drops


def _shared(pairs: Any) -> Any:
    """DROP: what of train is in another split, with the most similar row there."""
    pairs = pairs[(pairs["split_a"] == _TRAIN) & (pairs["split_b"] != _TRAIN)]
    equal, of_test = pairs["key_a"] == pairs["key_b"], pairs["split_b"] == _TEST
    drops = np.empty(len(pairs), [*DROP.descr, ("apart", "<u1"), ("key_b", "S16")])
    drops["key"], drops["key_b"] = pairs["key_a"], pairs["key_b"]
    drops["reason"] = np.select(
        [equal & of_test, equal, of_test],
        [REASONS.index(reason) for reason in ("in_test", "in_validation", "near_test")],
        REASONS.index("near_validation"),
    )
    drops["file"], drops["row"] = pairs["file_b"], pairs["row_b"]
    drops["apart"] = pairs["apart"]
    drops = first_of_each(drops, "key", then=("reason", "apart", "key_b"))
    return drops[list(DROP.names or ())].astype(DROP)


def _alike(groups: _Groups, gone: Any) -> Any:
    """DROP: all of a group but the smallest of the keys that stay; `gone` are dropped already."""
    staying = np.flatnonzero(~np.isin(groups.nodes["key"], gone))
    kept = np.full(groups.num_groups, -1)
    present, firsts = np.unique(groups.labels[staying], return_index=True)
    kept[present] = staying[firsts]
    other = kept[groups.labels[staying]]
    leaving, other = staying[other != staying], other[other != staying]
    drops = np.empty(len(leaving), DROP)
    drops["key"] = groups.nodes["key"][leaving]
    drops["reason"] = REASONS.index("near_duplicate")
    drops["file"], drops["row"] = groups.nodes["file"][other], groups.nodes["row"][other]
    return drops
