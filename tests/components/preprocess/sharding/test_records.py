"""Hand-made tf.Examples against TensorFlow's own."""

import numpy as np
import pytest
import tensorflow as tf

from tpuline.components.preprocess.sharding.records import MAX_VALUE, encode_examples


def features(num_rows: int, high: int, longest: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(7)
    lengths = rng.integers(0, longest, num_rows)
    values = rng.integers(0, high, lengths.sum()).astype(np.int32)
    return {
        "label": (rng.integers(0, 300, num_rows), np.ones(num_rows, np.int64)),
        "segment_ids": (values % 2, lengths),
        "token_ids": (values, lengths),
    }


@pytest.mark.parametrize(("high", "longest"), [(100, 5), (30_000, 600), (MAX_VALUE, 40_000)])
def test_examples_are_those_of_deterministic_protobuf(high: int, longest: int) -> None:
    columns = features(6, high, longest)
    examples = encode_examples(columns)
    for row, example in enumerate(examples):
        parts = {
            name: np.split(values, np.cumsum(lengths)[:-1])[row].tolist()
            for name, (values, lengths) in columns.items()
        }
        expected = tf.train.Example(
            features=tf.train.Features(
                feature={
                    name: tf.train.Feature(int64_list=tf.train.Int64List(value=part))
                    for name, part in parts.items()
                }
            )
        )
        parsed = tf.train.Example.FromString(example)
        assert parsed == expected
        if all(parts.values()):  # protobuf leaves the length of an empty list out
            assert example == expected.SerializeToString(deterministic=True)


def test_examples_parse_in_tensorflow() -> None:
    columns = features(20, 30_000, 100)
    parsed = tf.io.parse_example(
        encode_examples(columns),
        {
            "token_ids": tf.io.RaggedFeature(tf.int64),
            "label": tf.io.FixedLenFeature([], tf.int64),
        },
    )
    values, lengths = columns["token_ids"]
    assert parsed["token_ids"].values.numpy().tolist() == values.tolist()
    assert parsed["token_ids"].row_lengths().numpy().tolist() == lengths.tolist()
    assert parsed["label"].numpy().tolist() == columns["label"][0].tolist()


def test_values_at_the_edges_of_a_byte_keep_theirs() -> None:
    edges = np.array([0, 1, 127, 128, 129, 16_383, 16_384, 16_385, MAX_VALUE - 1])
    (example,) = encode_examples({"x": (edges, np.array([len(edges)]))})
    feature = tf.train.Example.FromString(example).features.feature["x"]
    assert list(feature.int64_list.value) == edges.tolist()


def test_no_rows_give_no_examples() -> None:
    nothing = np.array([], np.int64)
    assert encode_examples({"x": (nothing, nothing)}) == []
