"""Serialised examples become padded int32 features."""

from __future__ import annotations

import pytest
import tensorflow as tf

from tests.components.training.toy import example
from tpuline.components import batches

ROWS = [example([2, 9, 3], 1, [0, 0, 0]), example([2, 7, 3, 8, 3], 0, [0, 0, 0, 1, 1])]


def test_rows_are_padded_to_the_length_asked_for() -> None:
    features, labels = batches.parse_examples(tf.constant(ROWS), has_text_pair=True, length=6)
    assert features["token_ids"].numpy().tolist() == [[2, 9, 3, 0, 0, 0], [2, 7, 3, 8, 3, 0]]
    assert features["padding_mask"].numpy().tolist() == [[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0]]
    assert features["segment_ids"].numpy().tolist() == [[0] * 6, [0, 0, 0, 1, 1, 0]]
    assert labels.numpy().tolist() == [1, 0]
    assert {t.dtype for t in (*features.values(), labels)} == {tf.int32}


def test_width_is_static_in_a_graph() -> None:
    parse = tf.function(
        lambda rows: batches.parse_features(rows, has_text_pair=False, length=6),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    outputs = parse.get_concrete_function().structured_outputs
    assert {name: tuple(spec.shape) for name, spec in outputs.items()} == {
        "token_ids": (None, 6),
        "padding_mask": (None, 6),
    }


def test_without_a_length_the_longest_row_decides() -> None:
    features = batches.parse_features(tf.constant(ROWS), has_text_pair=False)
    assert features["token_ids"].shape == (2, 5)


def test_no_row_at_all_gives_empty_features() -> None:
    features = batches.parse_features(tf.constant([], tf.string), has_text_pair=True)
    assert {tuple(feature.shape) for feature in features.values()} == {(0, 1)}


def test_label_is_not_needed_for_features() -> None:
    unlabelled = tf.train.Example(
        features=tf.train.Features(
            feature={"token_ids": tf.train.Feature(int64_list=tf.train.Int64List(value=[2, 3]))}
        )
    ).SerializeToString()
    features = batches.parse_features(tf.constant([unlabelled]), has_text_pair=False)
    assert features["token_ids"].numpy().tolist() == [[2, 3]]


@pytest.mark.parametrize("limits", [{"length": 4}, {"max_length": 4}])
def test_longer_row_is_refused_rather_than_cut(limits: dict[str, int]) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 4 tokens"):
        batches.parse_features(tf.constant(ROWS), has_text_pair=False, **limits)


def test_row_without_tokens_is_refused() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="a row has none"):
        batches.parse_features(tf.constant([example([], 1)]), has_text_pair=False, length=4)


def test_segment_ids_of_another_length_are_refused() -> None:
    row = example([2, 9, 3], 1, [0, 0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="as many as token_ids"):
        batches.parse_features(tf.constant([row]), has_text_pair=True, length=4)


def test_lengths_are_measured_without_padding() -> None:
    assert batches.num_tokens(tf.constant(ROWS)).numpy().tolist() == [3, 5]
