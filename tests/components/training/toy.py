"""A tiny two-class data set as the preprocess stage would leave it, and a log that remembers."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf

from tpuline.components.contracts import Shard, ShardSet, Split

SEQUENCE_LENGTH = 16
VOCABULARY_SIZE = 40
START, END = 2, 3


@dataclass
class Memory:
    """A `components.stage.Log` that keeps what it was told."""

    infos: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    notes: list[tuple[str, float, float | None, str]] = field(default_factory=list)

    def info(self, message: str, **facts: Any) -> None:
        self.infos.append((message, facts))

    def warning(self, message: str, **facts: Any) -> None:
        self.infos.append((message, facts))

    def progress(self, task: str, completed: float, total: float | None, note: str = "") -> None:
        self.notes.append((task, completed, total, note))


def example(
    token_ids: list[int], label: int | list[int], segment_ids: list[int] | None = None
) -> bytes:
    """One serialised tf.Example as the shards hold it."""
    values = {"token_ids": token_ids, "label": label if isinstance(label, list) else [label]}
    if segment_ids is not None:
        values["segment_ids"] = segment_ids
    features = {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=ids))
        for name, ids in values.items()
    }
    message = tf.train.Example(features=tf.train.Features(feature=features))
    return message.SerializeToString(deterministic=True)


def rows(num_rows: int, seed: int) -> list[tuple[list[int], int]]:
    """Token ids and label: the label says which of two tokens is somewhere in the row."""
    chance = random.Random(seed)
    made = []
    for _ in range(num_rows):
        label = chance.randrange(2)
        body = [chance.randrange(10, VOCABULARY_SIZE) for _ in range(chance.randrange(13))]
        body.insert(chance.randrange(len(body) + 1), 5 + label)
        made.append(([START, *body, END], label))
    return made


def shard_set(
    folder: Path,
    *,
    num_train: int = 90,
    num_validation: int = 21,
    several: bool = False,
    pairs: bool = False,
) -> ShardSet:
    """Shards of `rows` under `folder`: training rows in three files, validation rows in two.

    `several`: multi-label ones, with the labels of `labels_on`. `pairs`: of two texts each, the
    second of which begins in the middle.
    """
    kind = {"several": several, "pairs": pairs}
    splits = (
        _split(folder, "train", rows(num_train, seed=1), num_files=3, **kind),
        _split(folder, "validation", rows(num_validation, seed=2), num_files=2, **kind),
        _split(folder, "test", rows(8, seed=3), num_files=1, **kind),
    )
    return ShardSet(
        uri=str(folder),
        task="multi_label" if several else "classification",
        splits=splits,
        label_names=("no", "yes", "long") if several else ("no", "yes"),
        label_separator="|" if several else None,
        has_text_pair=pairs,
        sequence_length=SEQUENCE_LENGTH,
        vocabulary_file="vocabulary.txt",
        vocabulary_size=VOCABULARY_SIZE,
        lowercase=True,
        tokenizer_fingerprint="toy",
        rejects_file="rejects.jsonl",
        num_rejected=0,
        rejected_by_reason=(),
    )


def labels_on(token_ids: list[int], label: int) -> list[int]:
    """Of multi-label rows: only one of the two, or none in short rows; and whether it is long."""
    short = len(token_ids) < 6
    return [int(label == 0 and not short), int(label == 1 and not short), int(len(token_ids) > 10)]


def _split(
    folder: Path,
    name: str,
    made: list[tuple[list[int], int]],
    num_files: int,
    *,
    several: bool,
    pairs: bool,
) -> Split:
    (folder / name).mkdir(parents=True, exist_ok=True)
    shards = []
    for i in range(num_files):
        part = made[i::num_files]
        file = f"{name}/shard-{i:05d}-of-{num_files:05d}.tfrecord"
        with tf.io.TFRecordWriter(str(folder / file)) as writer:
            for token_ids, label in part:
                stored = labels_on(token_ids, label) if several else label
                half = len(token_ids) // 2
                segments = [0] * half + [1] * (len(token_ids) - half) if pairs else None
                writer.write(example(token_ids, stored, segments))
        content = (folder / file).read_bytes()
        shards.append(
            Shard(
                records_file=file,
                texts_file=file.replace("shard", "texts").replace("tfrecord", "parquet"),
                num_examples=len(part),
                size_bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                length_counts=_length_counts(part),
            )
        )
    lengths = [len(token_ids) for token_ids, _ in made]
    labels = [label for _, label in made]
    return Split(
        name=name,
        num_examples=len(made),
        num_documents=len(made),
        num_tokens=sum(lengths),
        num_truncated=0,
        label_counts=(labels.count(0), labels.count(1)),
        length_counts=_length_counts(made),
        shards=tuple(shards),
    )


def _length_counts(made: list[tuple[list[int], int]]) -> tuple[int, ...]:
    lengths = [len(token_ids) for token_ids, _ in made]
    return tuple(lengths.count(n) for n in range(SEQUENCE_LENGTH + 1))
