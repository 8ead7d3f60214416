"""What workers tell each other through Beam: a few small records. Rows stay in files. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from .splits import KeyRange


@dataclass(frozen=True, kw_only=True)
class SpillFile:
    """Rows of one split in one range of keys, in no order."""

    split: str
    keys: KeyRange
    path: str
    num_rows: int
    num_bytes: int  # of labels and texts: no matter where they came from


@dataclass(frozen=True, kw_only=True)
class RejectsFile:
    """Rejected rows as JSON lines, sorted by row, all from the source file `source` if given."""

    path: str
    num_rows: int
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Spilled:
    """What one bundle of source files became; the sum of them is what the data set holds."""

    spill_files: tuple[SpillFile, ...] = ()
    rejects_files: tuple[RejectsFile, ...] = ()
    num_read: int = 0
    rejected: Counter[str] = field(default_factory=Counter)  # by reason
    label_counts: dict[str, Counter[str]] = field(default_factory=dict)  # by split, by cell
    problems: tuple[str, ...] = ()  # what no rejected row can stand for


def add_spilled(parts: Iterable[Spilled]) -> Spilled:
    """The sum; of no part too, as Beam's combiners ask for."""
    parts = list(parts)
    label_counts: dict[str, Counter[str]] = {}
    for part in parts:
        for split, counts in part.label_counts.items():
            label_counts.setdefault(split, Counter()).update(counts)
    return Spilled(
        spill_files=tuple(file for part in parts for file in part.spill_files),
        rejects_files=tuple(file for part in parts for file in part.rejects_files),
        num_read=sum(part.num_read for part in parts),
        rejected=sum((part.rejected for part in parts), Counter[str]()),
        label_counts=label_counts,
        problems=tuple(sorted({problem for part in parts for problem in part.problems})),
    )


@dataclass(frozen=True, kw_only=True)
class ShardTask:
    """One shard to write."""

    split: str
    keys: KeyRange
    spill_files: tuple[SpillFile, ...]  # those that may hold its rows


@dataclass(frozen=True, kw_only=True)
class ShardFacts:
    """What one shard holds; fields as in `contracts.Split` and `contracts.Shard`."""

    split: str
    index: int
    records_file: str
    texts_file: str
    num_examples: int
    size_bytes: int
    sha256: str
    num_tokens: int
    num_truncated: int
    label_counts: tuple[int, ...]
    length_counts: tuple[int, ...]
    rejects: RejectsFile | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is decided once, between the two passes: from all facts of the first."""

    spilled: Spilled
    label_names: tuple[str, ...] = ()
    label_ids: dict[str, int] = field(default_factory=dict)  # by cell
    vocabulary_size: int = 0
    tasks: tuple[ShardTask, ...] = ()
    problem: str | None = None  # then there are no tasks
