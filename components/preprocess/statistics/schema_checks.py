"""Schema and the statistics of one split -> violations, one statistic at a time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .drift import chance_limit, distance
from .schema import NameSchema, Schema, Violation
from .sums import Statistics

_MIN_SEEN = 3  # rows of a sample in an unexpected language: fewer are guessed wrong


def labels(
    schema: Schema, split: str, found: Statistics, label_names: Sequence[str]
) -> Iterator[Violation]:
    """Labels that were not there, and their shares."""
    if schema.labels is None:
        return
    known = schema.labels.shares
    counts = dict(zip(label_names, found.label_counts.tolist(), strict=True))
    new = [name for name, count in counts.items() if count and name not in known]
    if new:
        shown = ", ".join(f"{name!r} ({counts[name]:,} rows)" for name in new[:5])
        yield Violation(
            what="labels.shares", split=split, expected=", ".join(known), received=", ".join(new),
            message=f"{split}: labels that the schema does not know: {shown}",
        )  # fmt: skip
    names = [*known, *new]
    expected = np.array([known.get(name, 0.0) for name in names]) * schema.num_rows
    yield from _shift(
        "labels", "label shares", split, expected,
        np.array([counts.get(name, 0) for name in names]), schema.labels.max_shift,
    )  # fmt: skip
    yield from _labels_a_row(schema, split, sum(counts.values()) / max(1, found.num_rows), found)


def _labels_a_row(
    schema: Schema, split: str, received: float, found: Statistics
) -> Iterator[Violation]:
    """Of multi-label data: shares among labels do not tell when all of them become rare."""
    assert schema.labels is not None
    expected = sum(schema.labels.shares.values())
    chance = 3 / max(1.0, expected * min(found.num_rows, schema.num_rows)) ** 0.5
    shift = abs(received / expected - 1)
    if shift > max(schema.labels.max_shift, chance):
        yield Violation(
            what="labels.max_shift", split=split, expected=expected, received=received,
            message=f"{split}: a row has {received:.2f} labels in the mean where {expected:.2f} "
            "were expected",
        )  # fmt: skip


def lengths(schema: Schema, split: str, found: Statistics) -> Iterator[Violation]:
    """How long rows are, and how many are cut."""
    known, counts = schema.lengths, found.length_counts
    if len(counts) - 1 != known.sequence_length:
        yield Violation(
            what="lengths.sequence_length", split=split, expected=known.sequence_length,
            received=len(counts) - 1,
            message=f"{split}: rows are cut at {len(counts) - 1} tokens, and the schema's at "
            f"{known.sequence_length}: infer a new schema",
        )  # fmt: skip
        return
    binned = np.add.reduceat(counts, np.asarray(known.bins))
    expected = np.asarray(known.shares) * schema.num_rows
    detail = f", mean {found.mean_length:.1f} tokens where {known.mean:.1f} were expected"
    yield from _shift("lengths", "token lengths", split, expected, binned, known.max_shift, detail)
    share = found.truncated_share
    if share > known.max_truncated_share:
        message = f"{split}: {share:.1%} of the rows are cut; expected at most "
        message += f"{known.max_truncated_share:.1%}"
        yield Violation(
            what="lengths.max_truncated_share", split=split, expected=known.max_truncated_share,
            received=share, message=message,
        )  # fmt: skip


def tokens(schema: Schema, split: str, found: Statistics) -> Iterator[Violation]:
    """What the vocabulary does not know, and, of train, how much of it is used."""
    rate, bound = found.unknown_rate, schema.max_unknown_rate
    if rate > bound:
        yield Violation(
            what="max_unknown_rate", split=split, expected=bound, received=rate,
            message=f"{split}: {rate:.2%} of the tokens are unknown; expected at most {bound:.2%}",
        )  # fmt: skip
    if split == "train" and found.coverage < schema.min_coverage:
        message = f"{split}: {found.coverage:.1%} of the vocabulary is used; expected at least "
        message += f"{schema.min_coverage:.1%}"
        yield Violation(
            what="min_coverage", split=split, expected=schema.min_coverage,
            received=found.coverage, message=message,
        )  # fmt: skip


def names(schema: Schema, split: str, found: Statistics) -> Iterator[Violation]:
    """Scripts and languages that were not there."""
    yield from _new_names("scripts", split, schema.scripts, found.scripts, "of the letters", 1)
    yield from _new_names(
        "languages", split, schema.languages, found.languages, "of a sample of rows", _MIN_SEEN
    )


def _new_names(
    what: str, split: str, known: NameSchema, counts: Any, of: str, least: int
) -> Iterator[Violation]:
    if not known.names:
        return
    for name, count in sorted(counts.items()):
        share = count / counts.total()
        if name not in known.names and count >= least and share >= known.min_share:
            yield Violation(
                what=f"{what}.names", split=split, expected=", ".join(known.names), received=name,
                message=f"{split}: {name} is new among the {what}, {share:.1%} {of}; expected "
                f"{', '.join(known.names)}",
            )  # fmt: skip


def _shift(
    what: str, shown: str, split: str, expected: Any, received: Any, bound: float, detail: str = ""
) -> Iterator[Violation]:
    if not expected.sum() or not received.sum():
        return
    found, chance = distance(expected, received), chance_limit(expected, received)
    if found > max(bound, chance):
        yield Violation(
            what=f"{what}.max_shift", split=split, expected=bound, received=found,
            message=f"{split}: {shown} are {found:.3f} from the schema's (Jensen-Shannon distance);"
            f" expected at most {bound:g}{detail}",
        )  # fmt: skip
