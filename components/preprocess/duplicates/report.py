"""Repeats that were found -> lines for people and tables for the report. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ..statistics.stored import Table
from .found import Across, Duplicates, Example, Within


def lines(found: Duplicates) -> Iterator[str]:
    """One line for each split and pair of splits where there is something to tell."""
    for part in found.within:
        facts = _some(
            (part.exact_rows, "rows repeat a text"),
            (part.conflict_rows, "of a text have different labels"),
            (part.near_contents or 0, "texts are near-duplicates"),
        )
        if facts:
            yield f"{part.split}: {facts}"
    for shared in found.across:
        facts = _some(
            (shared.exact_contents, "texts in both"),
            (shared.near_contents or 0, "near-duplicates"),
        )
        if facts:
            yield f"{shared.first} and {shared.second}: {facts}"


def tables(found: Duplicates) -> Iterator[Table]:
    """What repeats, with examples by file and row: no texts."""
    yield Table(
        title="Repeats inside a split",
        columns=("split", "rows beyond the first", "rows with labels at odds", "near-duplicates"),
        rows=tuple(
            (part.split, part.exact_rows, part.conflict_rows, _looked(part.near_contents))
            for part in found.within
        ),
        note=_shown([example for part in found.within for example in _examples(part)]),
    )
    yield Table(
        title="Texts that splits share",
        columns=("splits", "same text", "near-duplicates"),
        rows=tuple(
            (f"{part.first}, {part.second}", part.exact_contents, _looked(part.near_contents))
            for part in found.across
        ),
        note=_shown([example for part in found.across for example in _examples(part)]),
    )


def _some(*facts: tuple[int, str]) -> str:
    return ", ".join(f"{count:,} {what}" for count, what in facts if count)


def _looked(count: int | None) -> int | str:
    return "not looked for" if count is None else count


def _examples(part: Within | Across) -> tuple[Example, ...]:
    return (part.exact_examples + part.near_examples)[:2]


def _shown(examples: list[Example]) -> str:
    shown = ", ".join(
        f"{example.first} and {example.second} ({example.similarity:.2f})" for example in examples
    )
    return f"for example {shown}" if shown else ""
