"""Documents as token ids -> windows of one length, filled up. Pure: numpy only.

A document longer than a window is cut into pieces of a window and a rest. Pieces are never cut
again: several stand side by side in a window, each with a number of its own, so that attention can
be kept within a piece. Longest first, each goes where it leaves the least room (best fit
decreasing), among the pieces of one buffer. Positions start anew at every piece, those that go on
with a document included: a model sees no position that a window does not have, and a piece does
not depend on where the document was cut before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_PIECES = 4096
MAX_TOKENS = 1 << 23
"""What is packed together: enough to leave next to no room, little enough for any memory."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """Packed windows, int32 `(W, L)`, in the order in which their first pieces came."""

    token_ids: Any
    segment_ids: Any  # 1, 2, ... by piece from the left; 0 is padding
    positions: Any  # 0, 1, ... within each piece
    window_of_piece: Any  # int64 (P,): pieces in the order of the documents
    segment_of_piece: Any  # int64 (P,)

    @property
    def num_tokens(self) -> Any:
        """Of each window, padding not counted; int64 `(W,)`."""
        return np.count_nonzero(self.segment_ids, axis=1)


class Packer:
    """Collects documents and packs them a buffer at a time."""

    def __init__(self, length: int, *, pad_id: int) -> None:
        self._length, self._pad_id = length, pad_id
        self._documents: list[tuple[Any, Any]] = []
        self._num_pieces = self._num_tokens = 0

    def add(self, token_ids: Any, row_lengths: Any) -> Windows | None:
        """Documents, ids `(N,)` one after the other and lengths `(B,)`; windows once it is time."""
        self._documents.append((token_ids, row_lengths))
        self._num_pieces += int((-(-row_lengths // self._length)).sum())
        self._num_tokens += len(token_ids)
        full = self._num_pieces >= MAX_PIECES or self._num_tokens >= MAX_TOKENS
        return self.finish() if full else None

    def finish(self) -> Windows | None:
        """Windows of what is left, if anything."""
        if not self._num_tokens:
            return None
        token_ids, row_lengths = map(np.concatenate, zip(*self._documents, strict=True))
        self._documents.clear()
        self._num_pieces = self._num_tokens = 0
        return pack(token_ids, row_lengths, length=self._length, pad_id=self._pad_id)


def pack(token_ids: Any, row_lengths: Any, *, length: int, pad_id: int) -> Windows:
    """All documents at once: ids `(N,)` one after the other, row lengths `(B,)`."""
    pieces = piece_lengths(row_lengths, length)
    window = best_fit(pieces, length)
    num_windows = int(window.max(initial=-1)) + 1
    # Pieces by window, and in each as they came; where they begin when windows lie end to end.
    order = np.argsort(window, kind="stable")
    first = np.searchsorted(window[order], np.arange(num_windows))
    place = np.arange(len(pieces)) - first[window[order]]
    before = np.cumsum(pieces[order]) - pieces[order]
    begin, segment = np.empty_like(pieces), np.empty_like(pieces)
    begin[order] = window[order] * length + before - before[first[window[order]]]
    segment[order] = place + 1

    position = np.arange(len(token_ids)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    target = np.repeat(begin, pieces) + position
    columns = []
    for values, padding in (
        (token_ids, pad_id),
        (np.repeat(segment, pieces), 0),
        (position, 0),
    ):
        column = np.full(num_windows * length, padding, np.int32)
        column[target] = values
        columns.append(column.reshape(num_windows, length))
    return Windows(
        token_ids=columns[0],
        segment_ids=columns[1],
        positions=columns[2],
        window_of_piece=window,
        segment_of_piece=segment,
    )


def piece_lengths(row_lengths: Any, length: int) -> Any:
    """Each document as pieces of `length` and a rest, in its order; int64 `(P,)`."""
    row_lengths = np.asarray(row_lengths, np.int64)
    counts = -(-row_lengths // length)
    pieces = np.full(int(counts.sum()), length, np.int64)
    last = np.cumsum(counts)[counts > 0] - 1
    pieces[last] = (row_lengths[counts > 0] - 1) % length + 1
    return pieces


def best_fit(pieces: Any, length: int) -> Any:
    """The window of each piece, int64 `(P,)`, windows numbered by their first piece."""
    window = np.empty(len(pieces), np.int64)
    by_room: list[list[int]] = [[] for _ in range(length)]
    rooms = 0  # bit n is set while there is a window with room for n more
    num_windows = 0
    lengths = pieces.tolist()
    for piece in np.argsort(-pieces, kind="stable").tolist():
        size = lengths[piece]
        fitting = rooms >> size
        if fitting:
            room = size + (fitting & -fitting).bit_length() - 1
            chosen = by_room[room].pop()
            if not by_room[room]:
                rooms ^= 1 << room
        else:
            room, chosen = length, num_windows
            num_windows += 1
        window[piece] = chosen
        left = room - size
        if left:
            by_room[left].append(chosen)
            rooms |= 1 << left
    _, first = np.unique(window, return_index=True)
    rank = np.empty(num_windows, np.int64)
    rank[np.argsort(first)] = np.arange(num_windows)
    return rank[window]
