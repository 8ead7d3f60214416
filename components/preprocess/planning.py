"""Facts of the first pass -> Plan for the second: labels, vocabulary, shards; or what is wrong."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ..example_spec import SPLITS
from ..vocabulary import load_vocabulary, save_vocabulary
from . import progress
from .batching import batches
from .facts import Plan, ShardTask, Spilled
from .labels import MAX_LABELS, Labels, configured_labels, learn_labels
from .rejects import too_many
from .spill import read_sorted
from .splits import key_ranges, num_ranges
from .vocabulary_learning import learn
from .work import Work

MAX_SHARDS = 4096


def make_plan(spilled: Spilled, work: Work) -> Plan:
    """Decides on labels and shards, and learns the vocabulary from train."""
    problem = _problem(spilled, work)
    if problem is not None:
        return Plan(spilled=spilled, problem=problem)
    labels = _labels(spilled, work)
    tasks = {split: _tasks(split, spilled, work) for split in SPLITS}
    if work.learn:
        progress.tell("learning the vocabulary", 0)
        vocabulary = learn(
            _train_texts(tasks["train"], labels),
            size=work.vocabulary_size,
            min_frequency=work.min_frequency,
            lowercase=work.lowercase,
        )
        _save_whole(vocabulary, Path(work.vocabulary_file))
    return Plan(
        spilled=spilled,
        label_names=labels.names,
        label_ids=dict(labels.ids),
        vocabulary_size=len(load_vocabulary(work.vocabulary_file)),
        tasks=tuple(task for split in SPLITS for task in tasks[split]),
    )


def _labels(spilled: Spilled, work: Work) -> Labels:
    if work.source.label_names is not None:
        return configured_labels(work.source.label_names)
    return learn_labels(spilled.label_counts["train"])


def _problem(spilled: Spilled, work: Work) -> str | None:
    """The first thing that the user must mend; None when the second pass can go on."""
    if spilled.problems:
        return "\n".join(spilled.problems)
    if too_many(spilled.rejected.total(), spilled.num_read, work.max_reject_share):
        return "too many rows were rejected"  # the stage says which, once they are gathered
    for split in SPLITS:
        if not spilled.label_counts.get(split):
            return empty_split_problem(split, spilled.num_read, work)
    counts = spilled.label_counts["train"]
    if len(counts) > MAX_LABELS and work.source.label_names is None:
        return (
            f"preprocess.source.label_column: must hold at most {MAX_LABELS:,} different labels; "
            f"received {len(counts):,} in {work.source.label_column!r}; name the label column"
        )
    return _too_few_labels(counts, _labels(spilled, work), work)


def _too_few_labels(counts: Counter[str], labels: Labels, work: Work) -> str | None:
    present: Counter[str] = Counter()
    for cell, count in counts.items():
        if cell in labels.ids:
            present[labels.names[labels.ids[cell]]] += count
    if len(present) >= 2:
        return None
    shown = ", ".join(f"{name!r} ({count:,} rows)" for name, count in present.items())
    cells = ", ".join(repr(cell) for cell in sorted(counts)[:5])
    return (
        f"preprocess.source.train: must hold at least two labels; received "
        f"{shown or 'none that is known'} (cells of {work.source.label_column!r}: {cells}); "
        "correct label_column or label_names, or add rows of other labels"
    )


def empty_split_problem(split: str, num_read: int, work: Work) -> str:
    """Says which source or share leaves `split` without rows."""
    if split in work.cut:
        return (
            f"preprocess.cut.{split}: must leave at least one row for {split}; received "
            f"{work.cut[split]} of a train source of few rows ({num_read:,} read in all); raise "
            f"the share, or give preprocess.source.{split}"
        )
    return (
        f"preprocess.source.{split}: must give at least one sound row with a known label; received "
        f"none from {', '.join(work.source.places(split))}; see rejects.jsonl for the rows set "
        "aside, or name other files"
    )


def _tasks(split: str, spilled: Spilled, work: Work) -> tuple[ShardTask, ...]:
    files = tuple(file for file in spilled.spill_files if file.split == split)
    num_bytes = sum(file.num_bytes for file in files)
    count = work.num_shards or num_ranges(num_bytes, work.shard_size_bytes, MAX_SHARDS)
    return tuple(
        ShardTask(
            split=split,
            keys=keys,
            spill_files=tuple(file for file in files if file.keys.overlaps(keys)),
        )
        for keys in key_ranges(count)
    )


def _train_texts(tasks: tuple[ShardTask, ...], labels: Labels) -> Iterator[list[str]]:
    """Cleaned texts in the order of the shards, one shard in memory at a time."""
    for task in tasks:
        rows = read_sorted(task.spill_files, task.keys)
        known = (row for row in rows if row.label in labels.ids)
        for batch in batches(known, lambda row: len(row.cleaned) + len(row.cleaned_pair or "")):
            texts = [row.cleaned for row in batch]
            yield texts + [row.cleaned_pair for row in batch if row.cleaned_pair is not None]


def _save_whole(vocabulary: tuple[str, ...], path: Path) -> None:
    """Under its name only when whole: a second attempt writes the same file again."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    save_vocabulary(vocabulary, temporary)
    os.replace(temporary, path)
