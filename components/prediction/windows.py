"""A part of the input -> windows of rows, sound ones beside those set aside. Nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..reading import sources
from ..reading.rows import Reject, Row
from ..reading.source import Source
from .answers import Columns
from .config import in_own_words
from .parts import Part

WINDOW_ROWS = 4096  # are sorted by length together
WINDOW_CHARACTERS = 16_000_000


@dataclass(kw_only=True)
class Window:
    """Consecutive rows of a part."""

    part: int
    number: int  # of the window in its part, from 0
    num_texts: int  # of a row
    is_last: bool = False
    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    @property
    def columns(self) -> Columns:
        texts = [row.text for row in self.rows]
        if self.num_texts == 1:
            return (texts,)
        return texts, [row.text_pair or "" for row in self.rows]


def windows(source: Source, part: Part) -> Iterator[Window]:
    """All rows of the part, in order; at least one window, and only the last may be empty.

    Raises:
        ValueError: a file that will not do as a whole.
    """
    num_texts = 1 if source.text_pair_column is None else 2
    window = Window(part=part.index, number=0, num_texts=num_texts)
    size = 0
    for row in _read(source, part):
        if isinstance(row, Reject):
            window.rejects.append(_named(row))
        else:
            window.rows.append(row)
            size += len(row.text) + len(row.text_pair or "")
        full = len(window.rows) + len(window.rejects) >= WINDOW_ROWS
        if full or size >= WINDOW_CHARACTERS:
            yield window
            number, size = window.number + 1, 0
            window = Window(part=part.index, number=number, num_texts=num_texts)
    window.is_last = True
    yield window


def _read(source: Source, part: Part) -> Iterator[Row | Reject]:
    for file in part.files:
        try:
            yield from sources.read(source, file, stripe=part.stripe, num_stripes=part.num_stripes)
        except ValueError as error:
            raise ValueError(in_own_words(str(error))) from error


def _named(reject: Reject) -> Reject:
    """A reader takes the id for a label."""
    detail = in_own_words(reject.detail)
    if reject.reason == "missing_label":
        return reject._replace(reason="missing_id", detail=detail)
    return reject._replace(detail=detail)
