"""Widths of batches and the number of them."""

from __future__ import annotations

import pytest

from tpuline.components.train import buckets


def test_no_buckets_mean_one_width() -> None:
    assert buckets.bucket_lengths((), sequence_length=16, longest=9) == (16,)


def test_sequence_length_is_appended_when_a_row_is_longer_than_the_last_bucket() -> None:
    assert buckets.bucket_lengths((4, 8), sequence_length=16, longest=9) == (4, 8, 16)
    assert buckets.bucket_lengths((4, 8), sequence_length=16, longest=8) == (4, 8)


def test_buckets_wider_than_every_row_are_dropped() -> None:
    assert buckets.bucket_lengths((4, 8, 12), sequence_length=16, longest=3) == (4,)


def test_bucket_beyond_the_sequence_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"train\.buckets: .*\(16\); received \[8, 32\]"):
        buckets.bucket_lengths((8, 32), sequence_length=16, longest=9)


def test_row_as_long_as_a_bucket_belongs_to_it() -> None:
    assert buckets.rows_per_bucket([0, 2, 1, 0, 3], [1, 4]) == (2, 4)


def test_each_bucket_rounds_its_batches_up() -> None:
    assert buckets.num_batches([0, 2, 1, 0, 3], [1, 4], batch_size=3) == 1 + 2


def test_padding_share_counts_the_filled_up_rows() -> None:
    # One row of 1 token in a batch of 2 rows, 4 wide.
    assert buckets.padding_share([0, 1], [4], batch_size=2) == pytest.approx(7 / 8)
    assert buckets.padding_share([0, 2], [1], batch_size=2) == 0
