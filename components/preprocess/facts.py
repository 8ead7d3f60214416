"""What workers tell each other through Beam: a few small records. Rows stay in files. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..reading.source import InputFile
from .duplicates.fingerprints import FingerprintFile
from .duplicates.found import Duplicates
from .leakage import SampledRow, merge_samples
from .sharding.splits import KeyRange
from .statistics.sums import Statistics, add_statistics


@dataclass(frozen=True, kw_only=True)
class Portion:
    """What one worker reads: of each of some files every `num_stripes`-th run of rows."""

    files: tuple[InputFile, ...]
    stripe: int = 0
    num_stripes: int = 1


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
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Spilled:
    """What one bundle of source files became; the sum of them is what the data set holds."""

    spill_files: tuple[SpillFile, ...] = ()
    rejects_files: tuple[RejectsFile, ...] = ()
    num_read: int = 0
    rejected: dict[str, Counter[str]] = field(default_factory=dict)  # by split, by reason
    redacted: Counter[str] = field(default_factory=Counter)  # by kind
    fingerprint_files: tuple[FingerprintFile, ...] = ()
    column_sample: tuple[SampledRow, ...] = ()  # rows of train
    # By split, by label as in the cell; of multi-label data "" counts rows without any.
    label_counts: dict[str, Counter[str]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()  # what no rejected row can stand for


def add_spilled(parts: Iterable[Spilled]) -> Spilled:
    """The sum; of no part too, as Beam's combiners ask for."""
    parts = list(parts)
    return Spilled(
        spill_files=tuple(file for part in parts for file in part.spill_files),
        rejects_files=tuple(file for part in parts for file in part.rejects_files),
        num_read=sum(part.num_read for part in parts),
        rejected=_added(part.rejected for part in parts),
        redacted=sum((part.redacted for part in parts), Counter[str]()),
        fingerprint_files=tuple(file for part in parts for file in part.fingerprint_files),
        column_sample=merge_samples(part.column_sample for part in parts),
        label_counts=_added(part.label_counts for part in parts),
        problems=tuple(sorted({problem for part in parts for problem in part.problems})),
    )


def _added(parts: Iterable[dict[str, Counter[str]]]) -> dict[str, Counter[str]]:
    total: dict[str, Counter[str]] = {}
    for part in parts:
        for split, counts in part.items():
            total.setdefault(split, Counter()).update(counts)
    return total


@dataclass(frozen=True, kw_only=True)
class ShardTask:
    """One shard to write."""

    split: str
    keys: KeyRange
    spill_files: tuple[SpillFile, ...]  # those that may hold its rows
    split_rows: int  # of all shards of the split, repeats included
    split_bytes: int


@dataclass(frozen=True, kw_only=True)
class ShardFacts:
    """What one shard holds; fields as in `contracts.Split` and `contracts.Shard`."""

    split: str
    index: int
    records_file: str
    texts_file: str
    num_examples: int
    num_documents: int
    size_bytes: int
    sha256: str
    num_tokens: int
    num_truncated: int
    label_counts: tuple[int, ...]
    length_counts: tuple[int, ...]
    num_unlabelled: int = 0
    rejects: RejectsFile | None = None


@dataclass(frozen=True, kw_only=True)
class Written:
    """What shards became; the sum of them is the result of the second pass."""

    shards: tuple[ShardFacts, ...] = ()
    statistics: dict[str, Statistics] = field(default_factory=dict)  # by split


def add_written(parts: Iterable[Written]) -> Written:
    """The sum; of no part too, as Beam's combiners ask for."""
    parts = list(parts)
    return Written(
        shards=tuple(shard for part in parts for shard in part.shards),
        statistics={
            split: add_statistics(
                part.statistics[split] for part in parts if split in part.statistics
            )
            for split in sorted({split for part in parts for split in part.statistics})
        },
    )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is decided once, between the two passes: from all facts of the first."""

    spilled: Spilled
    label_names: tuple[str, ...] = ()
    label_ids: dict[str, int] = field(default_factory=dict)  # by cell
    duplicates: Duplicates | None = None  # None: not looked for
    tasks: tuple[ShardTask, ...] = ()
    problem: str | None = None  # then there are no tasks
