"""Batches: every row once an epoch, always the same shape, the order decided by seed and epoch."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.components.training import toy
from tpuline.components.contracts import ShardSet
from tpuline.components.train import stage
from tpuline.components.training import buckets, dataset, plan

BATCH = 8


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    return toy.shard_set(tmp_path_factory.mktemp("shards"))


def training(shards: ShardSet, lengths: tuple[int, ...], **changes: Any) -> list[Any]:
    split = shards.split("train")
    settings: dict[str, Any] = {
        "lengths": lengths,
        "rows": [BATCH] * len(lengths),
        "has_text_pair": False,
        "shuffle_rows": 1000,
        "num_steps": sum(buckets.num_batches(split.length_counts, lengths, [BATCH] * len(lengths))),
        "epochs": 2,
        "seed": 3,
    }
    settings |= changes
    settings = {"shape_rows": settings["rows"]} | settings
    made = dataset.training_batches(split, shards.uri, **settings)
    return list(made.as_numpy_iterator())


def rows_of(batches: list[Any]) -> list[tuple[tuple[int, ...], int]]:
    """Token ids without padding and label of every row of weight 1, in order."""
    return [
        (tuple(ids[mask == 1].tolist()), int(label))
        for features, labels, weights in batches
        for ids, mask, label, weight in zip(
            features["token_ids"], features["padding_mask"], labels, weights, strict=True
        )
        if weight == 1
    ]


def wanted(shards: ShardSet, num_rows: int, seed: int) -> Counter[Any]:
    return Counter((tuple(ids), label) for ids, label in toy.rows(num_rows, seed))


@pytest.mark.parametrize("lengths", [(16,), (6, 10, 16)])
def test_each_epoch_holds_every_row_once(shards: ShardSet, lengths: tuple[int, ...]) -> None:
    batches = training(shards, lengths)
    half = len(batches) // 2
    for epoch in (batches[:half], batches[half:]):
        assert Counter(rows_of(epoch)) == wanted(shards, 90, seed=1)


@pytest.mark.parametrize("lengths", [(16,), (6, 10, 16)])
def test_every_batch_is_full_and_as_wide_as_its_bucket(
    shards: ShardSet, lengths: tuple[int, ...]
) -> None:
    for features, labels, weights in training(shards, lengths):
        width = features["token_ids"].shape[1]
        assert width in lengths
        assert features["token_ids"].shape == features["padding_mask"].shape == (BATCH, width)
        assert labels.shape == weights.shape == (BATCH,)
        kinds = {labels.dtype, *(feature.dtype for feature in features.values())}
        assert kinds == {np.dtype("int32")} and weights.dtype == np.float32
        longest = features["padding_mask"].sum(axis=1).max()
        assert longest > max([0, *(length for length in lengths if length < width)])


def test_order_follows_from_seed_and_epoch(shards: ShardSet) -> None:
    first, again = (rows_of(training(shards, (6, 16))) for _ in range(2))
    assert first == again
    assert first[:90] != first[90:]
    assert rows_of(training(shards, (6, 16), seed=4)) != first
    assert rows_of(training(shards, (6, 16), epochs=1)) == first[:90]


def test_rows_of_several_files_are_mixed(shards: ShardSet) -> None:
    files = [toy.rows(90, seed=1)[i::3] for i in range(3)]
    home = {(tuple(ids), label): i for i, rows in enumerate(files) for ids, label in rows}
    homes = [home[row] for row in rows_of(training(shards, (16,)))[:30]]
    assert set(homes) == {0, 1, 2}


@pytest.mark.parametrize("counted", [11, 13])
def test_other_number_of_batches_than_counted_is_an_error(shards: ShardSet, counted: int) -> None:
    with pytest.raises(tf.errors.OpError, match="expected to contain"):
        training(shards, (16,), num_steps=counted)


@pytest.mark.parametrize("lengths", [(16,), (6, 10, 16)])
def test_validation_drops_no_row_and_keeps_its_order(
    shards: ShardSet, lengths: tuple[int, ...]
) -> None:
    split = shards.split("validation")
    steps = sum(buckets.num_batches(split.length_counts, lengths, [BATCH] * len(lengths)))
    made = dataset.validation_batches(
        split,
        shards.uri,
        lengths=lengths,
        rows=[BATCH] * len(lengths),
        shape_rows=[BATCH] * len(lengths),
        has_text_pair=False,
        num_steps=steps,
    )
    first, again = (rows_of(list(made.as_numpy_iterator())) for _ in range(2))
    assert first == again and Counter(first) == wanted(shards, 21, seed=2)


@pytest.mark.parametrize("lengths", [(16,), (6, 10, 16)])
@pytest.mark.parametrize("start", [(0, 0), (0, 5), (1, 0), (1, 3)])
def test_start_in_the_middle_gives_the_rest(
    shards: ShardSet, lengths: tuple[int, ...], start: tuple[int, int]
) -> None:
    whole = training(shards, lengths)
    skipped = start[0] * (len(whole) // 2) + start[1]
    rest = training(shards, lengths, start=start)
    assert len(rest) == len(whole) - skipped
    for ours, theirs in zip(rest, whole[skipped:], strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, ours, theirs)


def test_each_bucket_has_its_own_number_of_rows(shards: ShardSet) -> None:
    lengths, rows = (6, 10, 16), [24, 16, 8]
    split = shards.split("train")
    steps = sum(buckets.num_batches(split.length_counts, lengths, rows))
    batches = training(shards, lengths, rows=rows, num_steps=steps, epochs=1)
    sizes = {features["token_ids"].shape for features, _, _ in batches}
    assert sizes == {(24, 6), (16, 10), (8, 16)}
    assert Counter(rows_of(batches)) == wanted(shards, 90, seed=1)


def test_batches_are_filled_up_for_the_replicas_and_hold_the_same_rows(shards: ShardSet) -> None:
    lengths, rows = (6, 10, 16), [24, 15, 9]
    split = shards.split("train")
    steps = sum(buckets.num_batches(split.length_counts, lengths, rows))
    settings = {"rows": rows, "num_steps": steps, "epochs": 1}
    plain = training(shards, lengths, **settings)
    filled = training(shards, lengths, shape_rows=[24, 16, 12], **settings)
    assert {features["token_ids"].shape for features, _, _ in filled} == {
        (24, 6),
        (16, 10),
        (12, 16),
    }
    assert [rows_of([batch]) for batch in filled] == [rows_of([batch]) for batch in plain]


def test_repeated_batch_is_the_first_of_its_width(shards: ShardSet) -> None:
    split = shards.split("validation")
    batches = dataset.validation_batches(
        split,
        shards.uri,
        lengths=(6, 16),
        rows=(4, 4),
        shape_rows=(4, 4),
        has_text_pair=False,
        num_steps=sum(buckets.num_batches(split.length_counts, (6, 16), (4, 4))),
    )
    repeated = dataset.repeated_batch(batches, 16)
    assert repeated.element_spec == batches.element_spec
    first, again = (rows_of([batch]) for batch in repeated.take(2).as_numpy_iterator())
    assert first == again and first[0] in rows_of(list(batches.as_numpy_iterator()))


@pytest.mark.parametrize("hosts", [2, 3, 5])  # files for each, or rows
def test_hosts_share_the_rows_and_take_the_same_number_of_steps(
    shards: ShardSet, hosts: int
) -> None:
    config = stage.Config(global_batch_size=BATCH * hosts, buckets=(6, 10))
    planned = plan.make_plan(config, shards, num_replicas=hosts, num_hosts=hosts)
    assert planned.lengths == (6, 10, 16)
    rows_at_most = BATCH * hosts * (planned.train_steps - len(planned.lengths))
    assert rows_at_most <= 90 + BATCH * hosts  # about as many steps as one host would take
    seen: Counter[Any] = Counter()
    for host in range(hosts):
        batches = training(
            shards,
            planned.lengths,
            share=(host, hosts),
            num_steps=planned.train_steps,
            epochs=1,
        )
        assert len(batches) == planned.train_steps
        seen.update(rows_of(batches))
    assert seen == wanted(shards, 90, seed=1)


@pytest.mark.parametrize("num_parts", [1, 2, 4])
def test_in_one_shape_each_part_holds_its_rows_and_then_padding(
    shards: ShardSet, num_parts: int
) -> None:
    lengths, rows = (6, 10, 16), [24, 16, 8]
    split = shards.split("train")
    read = {
        "lengths": lengths,
        "rows": rows,
        "shape_rows": rows,
        "has_text_pair": False,
        "num_steps": sum(buckets.num_batches(split.length_counts, lengths, rows)),
        "epochs": 1,
        "shuffle_rows": 64,
        "seed": 3,
    }
    ragged = dataset.training_batches(split, shards.uri, **read)
    padded = dataset.in_one_shape(ragged, lengths=lengths, rows=rows, num_parts=num_parts)
    shapes = {tuple(x.shape) for x in tf.nest.flatten(padded.element_spec)}
    assert shapes == {(160,), (24,), (num_parts,)}  # 16 rows of 10, 24 rows, a bucket for each part
    for (features, *others), (ours, *our_others) in zip(
        ragged.as_numpy_iterator(), padded.as_numpy_iterator(), strict=True
    ):
        bucket = set(ours.pop(buckets.BUCKET).tolist())
        assert bucket == {lengths.index(features["token_ids"].shape[1])}
        tf.nest.map_structure(partial(same, num_parts), [features, others], [ours, our_others])


def same(num_parts: int, batch: Any, padded: Any) -> None:
    """Whether each part of `padded` is one of `batch`, flat, and zeros."""
    for part, full in zip(np.split(batch, num_parts), np.split(padded, num_parts), strict=True):
        np.testing.assert_array_equal(full, np.pad(part.ravel(), (0, full.size - part.size)))


def test_empty_batches_of_a_host_read_one_row() -> None:
    read = []

    def note(row: tf.Tensor) -> tf.Tensor:
        read.append(int(row))
        return row

    examples = tf.data.Dataset.range(40).map(
        lambda row: tf.as_string(tf.py_function(note, [row], tf.int64))
    )
    chunks = examples.batch(4).map(
        lambda serialized: (serialized, tf.constant(0, tf.int64), tf.shape(serialized)[0])
    )
    made = dataset._exactly(30, chunks, examples, 1, (1, 2))
    sizes = [int(num_rows) for _, _, num_rows in made.as_numpy_iterator()]
    assert sizes == [4] * 10 + [0] * 20
    assert len(read) <= 40 + 2
