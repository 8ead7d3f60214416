"""Which batches a compiled model is compiled for. Pure."""

from __future__ import annotations

from dataclasses import dataclass

ROWS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """Rows and widths of batches, increasing. Each pair is compiled when it first comes up."""

    rows: tuple[int, ...]
    widths: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.rows) * len(self.widths)


def row_counts(most: int) -> tuple[int, ...]:
    """Numbers of rows, increasing, one for each number that up to `most` rows are padded to."""
    last = ROWS[-1]
    return (*(rows for rows in (*ROWS, *range(2 * last, most, last)) if rows < most), most)


def shapes(sequence_length: int) -> Shapes:
    """Widths of which each is at most half as large again as the one before, from 8 tokens on.

    So hardly a third of a row is padding, whatever its length.
    """
    widths = [8]
    while widths[-1] < sequence_length:
        power = 1 << (widths[-1].bit_length() - 1)
        widths.append(widths[-1] + power // 2)
    return Shapes(rows=ROWS, widths=(*(w for w in widths if w < sequence_length), sequence_length))
