"""What the data is expected to be: inferred from one run, edited by people, checked in the next.

Everything here is shares and bounds; `schema_file` reads and writes it as YAML.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .sums import Statistics

HISTOGRAM_BINS = 32
MISSING_KINDS = {"empty_text": "text", "missing_label": "label"}
"""Which column a reason for rejecting a row says is missing."""


@dataclass(frozen=True, kw_only=True)
class SchemaConfig:
    """Which schema the data must meet, and what happens otherwise; the bounds are in the file."""

    file: str | None = None  # a schema.yaml, relative to data_dir; None: nothing is expected
    on_violation: Literal["fail", "warn"] = "fail"

    def __post_init__(self) -> None:
        if self.file is not None and not self.file.strip():
            raise ValueError(
                f"file: must be the path of a schema.yaml, or null; received {self.file!r}; each "
                "preprocess artifact holds one"
            )


@dataclass(frozen=True, kw_only=True)
class LabelSchema:
    """Labels and how the rows spread over them."""

    shares: Mapping[str, float]  # of the train rows; other labels are violations
    max_shift: float = 0.1  # Jensen-Shannon distance of a split's shares from these


@dataclass(frozen=True, kw_only=True)
class LengthSchema:
    """Tokens a row, special ones included."""

    sequence_length: int
    mean: float  # for people
    quantiles: Mapping[str, int]  # for people: p10, p50, p90, p99
    bins: tuple[int, ...]  # the least length of each bin
    shares: tuple[float, ...]  # of the train rows, by bin
    max_shift: float = 0.1  # Jensen-Shannon distance of a split's shares from these
    max_truncated_share: float


@dataclass(frozen=True, kw_only=True)
class NameSchema:
    """Scripts or languages that may occur."""

    names: tuple[str, ...]
    min_share: float  # others are violations from this share on


@dataclass(frozen=True, kw_only=True)
class Schema:
    """All that is expected of every split."""

    task: str
    num_rows: int  # of train, when it was inferred: small ones explain large shifts
    labels: LabelSchema | None = None  # None: unlabelled
    lengths: LengthSchema
    max_unknown_rate: float  # of the tokens
    min_coverage: float  # share of the vocabulary that train must use
    scripts: NameSchema  # shares of letters
    languages: NameSchema  # shares of a sample of rows
    max_reject_share: float  # of the rows read
    max_missing_share: Mapping[str, float] = field(default_factory=dict)  # by column, of rows read


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One expectation that is not met."""

    what: str  # the key in the schema
    split: str  # "" where it is about all rows read
    expected: float | str
    received: float | str
    message: str  # one sentence


def infer(
    train: Statistics,
    *,
    task: str,
    label_names: Sequence[str],
    num_read: int,
    rejected: Mapping[str, int],
) -> Schema:
    """What `train` shows, with room above it. `rejected` counts rows by reason."""
    missing = _missing(rejected)
    return Schema(
        task=task,
        num_rows=train.num_rows,
        labels=_labels(train, label_names, train.num_rows if task == "multi_label" else None),
        lengths=_lengths(train),
        max_unknown_rate=_room(train.unknown_rate, 0.01),
        min_coverage=_rounded(train.coverage / 2),
        scripts=_names(train.scripts, 0.01),
        languages=_names(train.languages, 0.05),
        max_reject_share=_room(sum(rejected.values()) / max(1, num_read), 0.01),
        max_missing_share={
            kind: _room(count / max(1, num_read), 0.01) for kind, count in missing.items()
        },
    )


def check(
    schema: Schema,
    splits: Mapping[str, Statistics],
    *,
    task: str,
    label_names: Sequence[str],
    num_read: int,
    rejected: Mapping[str, int],
) -> tuple[Violation, ...]:
    """Everything that is not as expected, by split and in the order of the schema."""
    if task != schema.task:
        message = f"the schema is of a {schema.task}, the data is prepared for a {task}"
        return (_violation("task", "", schema.task, task, message),)
    from . import schema_checks as checks

    found: list[Violation] = []
    for split, statistics in splits.items():
        found += checks.labels(schema, split, statistics, label_names)
        found += checks.lengths(schema, split, statistics)
        found += checks.tokens(schema, split, statistics)
        found += checks.names(schema, split, statistics)
    return (*found, *_rejects(schema, num_read, rejected))


def widened(schema: Schema, violations: Sequence[Violation]) -> Schema:
    """With room for what other splits of the same data show: they must not violate their own."""
    for violation in violations:
        section, _, key = violation.what.rpartition(".")
        found: Any = violation.received
        if key == "names":
            known: NameSchema = getattr(schema, section)
            found = replace(known, names=tuple(sorted((*known.names, found))))
            schema = replace(schema, **{section: found})
        elif key.startswith("max_"):
            bound: dict[str, Any] = {key: min(1.0, _rounded(1.5 * found))}
            if section:
                bound = {section: replace(getattr(schema, section), **bound)}
            schema = replace(schema, **bound)
    return schema


def _rejects(schema: Schema, num_read: int, rejected: Mapping[str, int]) -> Iterator[Violation]:
    share = sum(rejected.values()) / max(1, num_read)
    if share > schema.max_reject_share:
        message = f"{share:.2%} of the rows read were set aside; expected at most "
        message += f"{schema.max_reject_share:.2%}"
        yield _violation("max_reject_share", "", schema.max_reject_share, share, message)
    for kind, count in _missing(rejected).items():
        share, bound = count / max(1, num_read), schema.max_missing_share.get(kind, 0.0)
        if share > bound:
            message = f"the {kind} is missing in {share:.2%} of the rows read; expected at most "
            message += f"{bound:.2%}"
            yield _violation(f"max_missing_share.{kind}", "", bound, share, message)


def _violation(
    what: str, split: str, expected: float | str, received: float | str, message: str
) -> Violation:
    return Violation(what=what, split=split, expected=expected, received=received, message=message)


def _missing(rejected: Mapping[str, int]) -> dict[str, int]:
    kinds = dict.fromkeys(sorted(set(MISSING_KINDS.values())), 0)
    for reason, count in rejected.items():
        if reason in MISSING_KINDS:
            kinds[MISSING_KINDS[reason]] += count
    return kinds


def _labels(
    train: Statistics, label_names: Sequence[str], num_rows: int | None
) -> LabelSchema | None:
    """Shares of `num_rows`; None: of the rows that have a label."""
    counted = int(train.label_counts.sum())
    if not counted:
        return None
    total = counted if num_rows is None else num_rows
    counts = zip(label_names, train.label_counts.tolist(), strict=True)
    return LabelSchema(shares={name: _rounded(count / total) for name, count in counts})


def _lengths(train: Statistics) -> LengthSchema:
    from .drift import length_bins

    bins = length_bins(train.length_counts, HISTOGRAM_BINS)
    counts = train.length_counts
    sums = [int(counts[i:j].sum()) for i, j in zip(bins, [*bins[1:], len(counts)], strict=True)]
    quantiles = {f"p{n}": train.length_quantile(n / 100) for n in (10, 50, 90, 99)}
    return LengthSchema(
        sequence_length=len(counts) - 1,
        mean=round(train.mean_length, 2),
        quantiles=quantiles,
        bins=tuple(bins),
        shares=tuple(_rounded(count / max(1, train.num_rows)) for count in sums),
        max_truncated_share=min(1.0, _rounded(train.truncated_share + 0.1)),
    )


def _names(counts: Mapping[str, int], min_share: float) -> NameSchema:
    """Those of half the share that makes a violation: what is just below it today is known."""
    total = sum(counts.values())
    names = tuple(sorted(name for name, n in counts.items() if n >= min_share / 2 * total))
    return NameSchema(names=names, min_share=min_share)


def _room(seen: float, step: float) -> float:
    return min(1.0, _rounded(max(2 * seen, seen + step)))


def _rounded(share: float) -> float:
    return round(share, 6)
