"""Shards read without TensorFlow: the same as with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tpuline.components.preprocess.sharding.records import encode_examples
from tpuline.components.preprocess.sharding.tfrecord import frame
from tpuline.components.stored_examples import read_examples

ROWS = [
    {"label": [3], "token_ids": [0, 127, 128, 16_383, 16_384, (1 << 21) - 1]},
    {"label": [0], "token_ids": []},
]


def written(path: Path) -> bytes:
    features = {
        name: (
            np.array([value for row in ROWS for value in row[name]]),
            np.array([len(row[name]) for row in ROWS]),
        )
        for name in ROWS[0]
    }
    content = frame(encode_examples(features))
    path.write_bytes(content)
    return content


def test_rows_are_those_that_were_encoded(tmp_path: Path) -> None:
    written(tmp_path / "shard")
    assert list(read_examples(str(tmp_path / "shard"))) == ROWS


def test_rows_of_tensorflow_are_read_alike(tmp_path: Path) -> None:
    import tensorflow as tf

    integers = tf.train.Int64List(value=[1, 300])
    features = {
        "a": tf.train.Feature(int64_list=integers),
        "none": tf.train.Feature(),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    path = str(tmp_path / "shard")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(example.SerializeToString())
    assert list(read_examples(path)) == [{"a": [1, 300], "none": []}]


def test_broken_file_gives_its_sound_rows_and_then_says_so(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    content = written(path)
    for broken in (content[:-1], content[:-6], content[:-1] + b"?", content + b"half"):
        path.write_bytes(broken)
        rows = read_examples(str(path))
        assert next(rows) == ROWS[0]
        with pytest.raises(ValueError, match="cut short or damaged in row"):
            list(rows)


def test_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    path.write_bytes(b"just a text, long enough for a head")
    with pytest.raises(ValueError, match="cut short or damaged in row 1"):
        list(read_examples(str(path)))
    path.write_bytes(frame([b"\x08\x01"]))
    with pytest.raises(ValueError, match="row 1 is no row of integers"):
        list(read_examples(str(path)))
