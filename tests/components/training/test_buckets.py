"""Widths of batches and the number of them."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.components.training import toy
from tpuline.components.modeling import BagSpec, build
from tpuline.components.training import buckets, loop
from tpuline.components.training.config import Config
from tpuline.components.training.plan import make_plan


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
    assert buckets.num_batches([0, 2, 1, 0, 3], [1, 4], [3, 3]) == (1, 2)


def test_padding_share_counts_the_filled_up_rows() -> None:
    # One row of 1 token in a batch of 2 rows, 4 wide.
    assert buckets.padding_share([0, 1], [4], [2], [2]) == pytest.approx(7 / 8)
    assert buckets.padding_share([0, 2], [1], [2], [2]) == 0
    # Two batches of 2 rows, filled up to 3.
    assert buckets.padding_share([0, 4], [1], [2], [3]) == pytest.approx(1 / 3)


@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_chosen_widths_pad_no_more_than_any_others(most: int) -> None:
    chance = random.Random(most)
    counts = [0, *(chance.randrange(50) for _ in range(40))]
    chosen = buckets.choose_lengths(counts, most, sequence_length=40, multiple=4)
    ends = range(4, 40, 4)

    def positions(widths: tuple[int, ...]) -> int:
        rows = buckets.rows_per_bucket(counts, widths)
        return sum(n * width for n, width in zip(rows, widths, strict=True))

    others = ((*some, 40) for some in itertools.combinations(ends, most - 1))
    assert positions(chosen) == min(positions(widths) for widths in others)
    assert chosen[-1] == 40 and len(chosen) <= most


def test_chosen_widths_end_with_the_longest_row_and_within_the_sequence_length() -> None:
    counts = [0, 5, 0, 0, 0, 0, 0, 0, 0, 5, 1]
    assert buckets.choose_lengths(counts, 4, sequence_length=10) == (8, 10)
    assert buckets.choose_lengths([0, 5, *[0] * 30], 4, sequence_length=31) == (8,)


def test_row_that_only_another_split_has_costs_no_width_of_its_own() -> None:
    counts = [0, *[5] * 50]
    assert buckets.choose_lengths(counts, 1, sequence_length=128, longest=60) == (64,)
    two = buckets.choose_lengths(counts, 2, sequence_length=128, longest=60)
    assert len(two) == 2 and two[-1] == 64
    assert buckets.choose_lengths(counts, 2, sequence_length=60, longest=60)[-1] == 60


def test_very_long_rows_are_weighed_in_coarser_steps() -> None:
    counts = [1] * 20_001
    assert buckets.choose_lengths(counts, 2, sequence_length=20_000)[-1] == 20_000


def test_constant_tokens_keep_the_positions_of_a_step_about_the_same() -> None:
    rows = buckets.batch_rows((24, 64, 128), widest=32, constant_tokens=True)
    assert rows == (170, 64, 32)
    assert all(n * width <= 32 * 128 for n, width in zip(rows, (24, 64, 128), strict=True))
    assert buckets.batch_rows((24, 64), widest=6, constant_tokens=False) == (6, 6)


@pytest.mark.parametrize("replicas", [1, 2, 4, 8])
def test_batches_hold_the_same_rows_whatever_the_number_of_replicas(
    tmp_path: Path, replicas: int
) -> None:
    shards = toy.shard_set(tmp_path)
    config = Config(global_batch_size=16, buckets=(6, 16), constant_tokens=True)
    alone = make_plan(config, shards)
    found = make_plan(config, shards, num_replicas=replicas)
    assert found.rows == alone.rows == (42, 16)
    assert found.train_steps == alone.train_steps
    assert all(rows % replicas == 0 for rows in found.shape_rows)
    assert all(
        0 <= full - n < replicas for full, n in zip(found.shape_rows, found.rows, strict=True)
    )


def test_loss_divides_by_the_rows_that_all_hosts_read(tmp_path: Path) -> None:
    shards = toy.shard_set(tmp_path)
    spec = BagSpec(embedding_dim=4, hidden_dim=4)
    config = Config(model=spec, global_batch_size=16, buckets=(5, 16), constant_tokens=True)
    planned = make_plan(config, shards, num_replicas=2, num_hosts=2)
    assert planned.rows == (51, 16) and planned.dealt_rows == (50, 16)
    assert planned.shape_rows == make_plan(config, shards, num_replicas=2).shape_rows
    classifier = build(
        spec,
        vocabulary_size=shards.vocabulary_size,
        sequence_length=shards.sequence_length,
        num_labels=2,
        has_text_pair=False,
    )
    assert loop.compiled(classifier, config, planned)._full_rows == {5: 50, 16: 16}


def test_buckets_that_are_chosen_are_no_more_than_were_asked_for(tmp_path: Path) -> None:
    """Though validation has a row that is longer than those of train."""
    shards = toy.shard_set(tmp_path)
    train = shards.split("train")
    short = replace(train, length_counts=train.length_counts[:9])
    others = tuple(split for split in shards.splits if split.name != "train")
    config = Config(global_batch_size=16, buckets=1)
    planned = make_plan(config, replace(shards, splits=(short, *others)))
    assert planned.lengths == (toy.SEQUENCE_LENGTH,)
