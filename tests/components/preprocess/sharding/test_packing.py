"""Packing documents into windows."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpuline.components.preprocess.sharding import packing
from tpuline.components.preprocess.sharding.packing import (
    Packer,
    Windows,
    best_fit,
    pack,
    piece_lengths,
)

PAD = 7

documents_strategy = st.lists(st.integers(1, 60), max_size=40)


def numbered(lengths: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Documents in which no token occurs twice."""
    return np.arange(100, 100 + sum(lengths), dtype=np.int32), np.array(lengths, np.int64)


def rebuilt(windows: Windows, lengths: list[int], length: int) -> list[list[int]]:
    """The documents, put together from the windows by where each of their pieces went."""
    piece = 0
    documents = []
    for num_tokens in lengths:
        document: list[int] = []
        for _ in range(-(-num_tokens // length)):
            row, segment = windows.window_of_piece[piece], windows.segment_of_piece[piece]
            inside = windows.segment_ids[row] == segment
            assert windows.positions[row][inside].tolist() == list(range(inside.sum()))
            document += windows.token_ids[row][inside].tolist()
            piece += 1
        documents.append(document)
    assert piece == len(windows.window_of_piece)
    return documents


@settings(max_examples=300, deadline=None)
@given(documents_strategy, st.integers(1, 24))
def test_no_token_is_lost_or_doubled_and_documents_keep_their_order(
    lengths: list[int], length: int
) -> None:
    token_ids, row_lengths = numbered(lengths)
    windows = pack(token_ids, row_lengths, length=length, pad_id=PAD)
    starts = np.cumsum(row_lengths) - row_lengths
    expected = [
        token_ids[start : start + size].tolist()
        for start, size in zip(starts, lengths, strict=True)
    ]
    assert rebuilt(windows, lengths, length) == expected
    assert windows.token_ids.shape == windows.segment_ids.shape == windows.positions.shape
    real = windows.segment_ids > 0
    assert real.sum() == windows.num_tokens.sum() == sum(lengths)
    assert (windows.token_ids[~real] == PAD).all()
    assert (windows.positions[~real] == 0).all()


@settings(max_examples=200, deadline=None)
@given(documents_strategy.filter(bool), st.integers(2, 24))
def test_padding_stands_at_the_end_only_and_segments_count_up(
    lengths: list[int], length: int
) -> None:
    windows = pack(*numbered(lengths), length=length, pad_id=PAD)
    for segments, used in zip(windows.segment_ids, windows.num_tokens, strict=True):
        assert (segments[used:] == 0).all()
        assert segments[0] == 1
        assert set(np.diff(segments[:used]).tolist()) <= {0, 1}


@settings(max_examples=200, deadline=None)
@given(documents_strategy.filter(bool), st.integers(2, 24))
def test_a_window_is_opened_only_when_a_piece_fits_nowhere(lengths: list[int], length: int) -> None:
    """So at most one window is half empty, whatever comes."""
    windows = pack(*numbered(lengths), length=length, pad_id=PAD)
    assert np.count_nonzero(windows.num_tokens * 2 <= length) <= 1


def test_windows_come_in_the_order_of_their_first_pieces() -> None:
    assert best_fit(np.array([2, 9, 3, 10, 4]), 10).tolist() == [0, 1, 0, 2, 0]


def test_long_documents_are_cut_at_the_length_of_a_window() -> None:
    assert piece_lengths([25, 10, 1, 0, 20], 10).tolist() == [10, 10, 5, 10, 1, 10, 10]


def test_piece_goes_where_it_leaves_the_least_room() -> None:
    assert best_fit(np.array([6, 7, 3, 4]), 10).tolist() == [0, 1, 1, 0]


def test_packer_gives_windows_whenever_a_buffer_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MAX_PIECES", 6)
    packer = Packer(10, pad_id=PAD)
    batch = numbered([12, 3])
    assert packer.add(*batch) is None
    windows = packer.add(*batch)
    assert windows is not None
    assert windows.num_tokens.sum() == 30
    assert packer.finish() is None
    assert packer.add(*batch) is None
    rest = packer.finish()
    assert rest is not None
    assert rest.num_tokens.sum() == 15


def test_packer_holds_no_more_tokens_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MAX_TOKENS", 100)
    assert Packer(10, pad_id=PAD).add(*numbered([100])) is not None


def test_documents_of_usual_lengths_leave_little_room_and_take_little_time() -> None:
    drawn = np.random.default_rng(3).lognormal(5.3, 0.8, 4096).astype(np.int64) + 1
    token_ids = np.zeros(drawn.sum(), np.int32)
    started = time.process_time()
    windows = pack(token_ids, drawn, length=512, pad_id=0)
    seconds = time.process_time() - started
    assert windows.num_tokens.sum() / windows.token_ids.size > 0.97
    assert len(token_ids) / seconds > 1_000_000, "tokens per CPU second; 5 million when it is quiet"
