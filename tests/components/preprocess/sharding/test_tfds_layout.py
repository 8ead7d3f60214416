"""Shards as TensorFlow Datasets reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tpuline.components.contracts import Shard, Split
from tpuline.components.preprocess.sharding.records import encode_examples
from tpuline.components.preprocess.sharding.tfds_layout import tfds_files
from tpuline.components.preprocess.sharding.tfrecord import frame

Rows = Sequence[Mapping[str, Sequence[int]]]

LABELS = ("sehr böse", "good")
SHARDS: dict[str, list[Rows]] = {
    "train": [
        [{"label": [0], "token_ids": [2, 70, 3]}, {"label": [1], "token_ids": [2, 3]}],
        [{"label": [1], "token_ids": [2, *range(200, 330), 20_000, 3]}],
    ],
    "validation": [[], [{"label": [1], "token_ids": [2, 3]}]],
    "test": [[{"label": [0], "token_ids": [2, 9, 3]}]],
}


def write(folder: Path, shards: Mapping[str, list[Rows]], **facts: Any) -> Path:
    """Shards as the stage writes them, and their description."""
    splits = []
    for name, contents in shards.items():
        (folder / name).mkdir(parents=True)
        written = []
        for index, rows in enumerate(contents):
            file = f"{name}/shard-{index:05d}-of-{len(contents):05d}.tfrecord"
            (folder / file).write_bytes(frame(encode_examples(columns(rows))))
            written.append(
                Shard(
                    records_file=file,
                    texts_file="",
                    num_examples=len(rows),
                    size_bytes=(folder / file).stat().st_size,
                    sha256="",
                )
            )
        splits.append(split(name, tuple(written)))
    for file, content in tfds_files(splits, **facts).items():
        (folder / file).write_text(content, encoding="utf-8")
    return folder


def columns(rows: Rows) -> dict[str, tuple[Any, Any]]:
    names = rows[0] if rows else ()
    return {
        name: (
            np.array([value for row in rows for value in row[name]]),
            np.array([len(row[name]) for row in rows]),
        )
        for name in names
    }


def split(name: str, shards: tuple[Shard, ...]) -> Split:
    count = sum(shard.num_examples for shard in shards)
    return Split(
        name=name,
        num_examples=count,
        num_documents=count,
        num_tokens=0,
        num_truncated=0,
        label_counts=(),
        length_counts=(),
        shards=shards,
    )


def read(folder: Path, split_name: str, **options: Any) -> list[dict[str, list[int]]]:
    """What TFDS makes of the folder."""
    import tensorflow_datasets as tfds

    rows = tfds.builder_from_directory(folder).as_dataset(split=split_name, **options)
    return [
        {name: np.atleast_1d(value).tolist() for name, value in row.items()}
        for row in rows.as_numpy_iterator()
    ]


def test_labelled_rows_are_read_by_tensorflow_datasets(tmp_path: Path) -> None:
    import tensorflow_datasets as tfds

    folder = write(tmp_path, SHARDS, label_names=LABELS, has_text_pair=False, task="classification")
    for name, contents in SHARDS.items():
        assert read(folder, name) == [dict(row) for rows in contents for row in rows]
    assert len(read(folder, "train[:2]")) == 2
    builder = tfds.builder_from_directory(folder)
    pairs = list(builder.as_dataset(split="test", as_supervised=True).as_numpy_iterator())
    assert [(ids.tolist(), label) for ids, label in pairs] == [([2, 9, 3], 0)]


def test_info_names_labels_types_and_counts(tmp_path: Path) -> None:
    import tensorflow_datasets as tfds

    folder = write(tmp_path, SHARDS, label_names=LABELS, has_text_pair=False, task="classification")
    info = tfds.builder_from_directory(folder).info
    assert info.features["label"].names == list(LABELS)
    assert info.features["token_ids"].shape == (None,)
    assert info.features["token_ids"].dtype == np.int64
    assert {name: found.num_examples for name, found in info.splits.items()} == {
        "train": 3,
        "validation": 1,
        "test": 1,
    }
    assert info.splits["train"].num_shards == 2
    assert info.dataset_size == sum(path.stat().st_size for path in folder.rglob("*.tfrecord"))
    assert "made by tpuline" in info.description
    for path in folder.glob("*.*"):
        assert str(tmp_path) not in path.read_text(encoding="utf-8")


def test_windows_of_a_language_model_are_read_by_tensorflow_datasets(tmp_path: Path) -> None:
    window = {"token_ids": [5, 6, 7, 5], "segment_ids": [1, 1, 1, 2], "positions": [0, 1, 2, 0]}
    shards: dict[str, list[Rows]] = {"train": [[window, window]]}
    folder = write(tmp_path, shards, label_names=(), has_text_pair=False, task="language_model")
    assert read(folder, "train") == [window, window]
    assert not list(folder.glob("*.labels.txt"))


def test_pairs_of_texts_keep_their_segments(tmp_path: Path) -> None:
    row = {"label": [0], "segment_ids": [0, 0, 1], "token_ids": [2, 3, 3]}
    folder = write(
        tmp_path,
        {"train": [[row]]},
        label_names=LABELS,
        has_text_pair=True,
        task="classification",
    )
    assert read(folder, "train") == [row]


@pytest.mark.parametrize("odd", [" padded", "two\nlines", ""])
def test_labels_that_a_file_of_lines_would_change_are_numbers(odd: str) -> None:
    found = tfds_files((), label_names=("a", odd), has_text_pair=False, task="classification")
    assert set(found) == {"features.json", "dataset_info.json"}
