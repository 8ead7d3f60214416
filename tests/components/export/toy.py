"""Tiny shards and untrained models, made by the real tokenizer and the real builder."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from tests.components.no_hardware import NoHardware
from tpuline.components.contracts import Shard, ShardSet, Split, TrainedModel
from tpuline.components.example_spec import (
    LABEL,
    SEGMENT_IDS,
    SPECIAL_TOKENS,
    SPLITS,
    TEXT,
    TEXT_PAIR,
    TOKEN_IDS,
)
from tpuline.components.graph_tokenizer import TextTokenizer
from tpuline.components.modeling import ModelSpec, build
from tpuline.components.preprocess.vocabulary.config import FILE_NAMES
from tpuline.components.preprocess.vocabulary.subwords import learn_sentencepiece
from tpuline.components.stage import Context
from tpuline.components.tokenizers import load, tokens
from tpuline.components.vocabulary import TokenizerType, file_fingerprint

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ("great", "film", "dull", "plot", "the", "Étude", "CAFÉ", "x<br/>y", "naïve", "123", "!")
VOCABULARY = (
    *SPECIAL_TOKENS,
    *LETTERS,
    *(f"##{letter}" for letter in LETTERS),
    *("great", "film", "dull", "Great", "cafe", "ÉCOLE"),
)
LABEL_NAMES = ("bad", "good", "so so")
SEQUENCE_LENGTH = 24


@dataclass
class MemoryLog:
    """Keeps what a stage says."""

    warnings: list[str] = field(default_factory=list)
    tasks: dict[str, tuple[float, float | None]] = field(default_factory=dict)  # as last told

    def info(self, message: str, **facts: Any) -> None:
        pass

    def warning(self, message: str, **facts: Any) -> None:
        self.warnings.append(message)

    def progress(self, task: str, completed: float, total: float | None, note: str = "") -> None:
        assert total is None or completed <= total
        self.tasks[task] = completed, total


def context(workdir: Path, log: MemoryLog | None = None) -> Context:
    """A context whose workdir is made here."""
    workdir.mkdir(parents=True)
    return Context(
        workdir=workdir,
        data_dir=workdir,
        seed=0,
        hardware=NoHardware(),
        log=log or MemoryLog(),
    )


def write_shards(
    folder: Path,
    *,
    has_text_pair: bool = False,
    rows: tuple[int, ...] = (10, 90, 200),
    kind: TokenizerType = "wordpiece",
    several: bool = False,
) -> ShardSet:
    """`rows` of train, validation and test; two shards a split. `several`: multi-label ones, with
    the labels of `labels_on`.
    """
    folder.mkdir(parents=True)
    vocabulary_file = FILE_NAMES[kind]
    path = folder / vocabulary_file
    if kind == "wordpiece":
        path.write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    else:
        sentences = [f"{first} {second}" for first in WORDS for second in WORDS]
        path.write_bytes(learn_sentencepiece(sentences, size=60, lowercase=True))
    tokenizer = load(
        kind,
        path,
        lowercase=True,
        sequence_length=SEQUENCE_LENGTH,
        has_text_pair=has_text_pair,
    )
    rng = random.Random(7)
    splits = []
    for name, num_rows in zip(SPLITS, rows, strict=True):
        halves = (num_rows // 3, num_rows - num_rows // 3)
        shards = tuple(
            _write_shard(folder, f"{name}-{index}", size, tokenizer, rng, has_text_pair, several)
            for index, size in enumerate(halves)
        )
        splits.append(
            Split(
                name=name,
                num_examples=num_rows,
                num_documents=num_rows,
                num_tokens=0,
                num_truncated=0,
                label_counts=(0, 0, 0),
                length_counts=(),
                shards=shards,
            )
        )
    return ShardSet(
        uri=str(folder),
        task="multi_label" if several else "classification",
        splits=tuple(splits),
        label_names=LABEL_NAMES,
        label_separator="|" if several else None,
        has_text_pair=has_text_pair,
        sequence_length=SEQUENCE_LENGTH,
        tokenizer=kind,
        vocabulary_file=vocabulary_file,
        vocabulary_size=len(tokens(kind, path)),
        lowercase=True,
        tokenizer_fingerprint=file_fingerprint(
            kind, path, lowercase=True, has_text_pair=has_text_pair
        ),
        rejects_file="rejects.jsonl",
        num_rejected=0,
        rejected_by_reason=(),
    )


def labels_on(text: str) -> list[int]:
    """Ids of the labels of a multi-label row; nothing is so so."""
    return [label for label, word in enumerate(("dull", "great")) if word in text]


def _write_shard(
    folder: Path,
    name: str,
    size: int,
    tokenizer: TextTokenizer,
    rng: random.Random,
    has_text_pair: bool,
    several: bool,
) -> Shard:
    def text() -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(1, 12)))

    names = (TEXT, TEXT_PAIR) if has_text_pair else (TEXT,)
    columns = [[text() for _ in range(size)] for _ in names]
    tokens = tokenizer(*(tf.constant(column, tf.string) for column in columns))
    stored = {TOKEN_IDS: tokens.token_ids.to_list()}
    if has_text_pair:
        stored[SEGMENT_IDS] = tokens.segment_ids.to_list()
    labels: list[Any] = [labels_on(one) for one in columns[0]] if several else [0] * size
    hot = [[int(label in ids) for label in range(3)] for ids in labels] if several else [[0]] * size
    records = [
        example({k: v[row] for k, v in stored.items()} | {LABEL: hot[row]}) for row in range(size)
    ]
    write_records(folder / f"{name}.tfrecord", records)
    pq.write_table(
        pa.table(dict(zip(names, columns, strict=True)) | {LABEL: labels}),
        folder / f"{name}.parquet",
    )
    data = (folder / f"{name}.tfrecord").read_bytes()
    return Shard(
        records_file=f"{name}.tfrecord",
        texts_file=f"{name}.parquet",
        num_examples=size,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def example(features: dict[str, list[int]]) -> bytes:
    """A serialised tf.Example of integers."""
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                name: tf.train.Feature(int64_list=tf.train.Int64List(value=values))
                for name, values in features.items()
            }
        )
    ).SerializeToString(deterministic=True)


def write_records(path: Path, records: list[bytes]) -> None:
    """One TFRecord file."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


def write_model(folder: Path, shards: ShardSet, spec: ModelSpec) -> TrainedModel:
    """Random weights, large enough that texts get clearly different probabilities."""
    import keras

    folder.mkdir(parents=True)
    keras.utils.set_random_seed(3)
    model = build(
        spec,
        vocabulary_size=shards.vocabulary_size,
        sequence_length=shards.sequence_length,
        num_labels=len(shards.label_names),
        has_text_pair=shards.has_text_pair,
    )
    for weight in model.trainable_weights:
        if len(weight.shape) > 1:
            weight.assign(weight * 3.0)
    model.save_weights(folder / "model.weights.h5")
    return TrainedModel(
        uri=str(folder),
        weights_file="model.weights.h5",
        model=spec,
        strategy="cpu",
        num_replicas=1,
        precision="mixed_bfloat16",
        global_batch_size=8,
        num_steps=1,
        best_step=1,
        best_val_loss=1.0,
        examples_per_s=1.0,
        tokens_per_s=1.0,
        num_parameters=model.count_params(),
        history=(),
    )
