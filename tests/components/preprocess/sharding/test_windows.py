"""Shards of windows for a language model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tpuline.components import tokenizers
from tpuline.components.example_spec import POSITIONS, SEGMENT_IDS, TOKEN_IDS
from tpuline.components.graph_tokenizer import TextTokenizer
from tpuline.components.preprocess.facts import ShardFacts, ShardTask
from tpuline.components.preprocess.privacy import Privacy
from tpuline.components.preprocess.sharding.shards import ShardWork
from tpuline.components.preprocess.sharding.spill import SpilledRow, SpillWriter
from tpuline.components.preprocess.sharding.splits import KeyRange, content, content_key
from tpuline.components.preprocess.sharding.windows import (
    delimited,
    document_function,
    write_windows,
)
from tpuline.components.preprocess.statistics.builder import StatisticsBuilder, sample_shares
from tpuline.components.preprocess.statistics.terms import token_table
from tpuline.components.preprocess.vocabulary.config import FILE_NAMES, Vocabulary
from tpuline.components.preprocess.vocabulary.learning import learn_file
from tpuline.components.vocabulary import SpecialIds, TokenizerType

LENGTH = 32
TEXTS = [f"boat {number} " + "sails the sea " * (number % 23) for number in range(500)]


def tokenizer(folder: Path, kind: TokenizerType) -> TextTokenizer:
    path = folder / FILE_NAMES[kind]
    if not path.exists():
        learn_file(Vocabulary(type=kind, size=520), [TEXTS], str(path))
    return tokenizers.load(kind, path, lowercase=True, sequence_length=LENGTH, has_text_pair=False)


def write(folder: Path, kind: TokenizerType) -> tuple[ShardFacts, TextTokenizer, StatisticsBuilder]:
    """One shard of all texts."""
    spill = SpillWriter(str(folder / "spill"), 1)
    for number, text in enumerate(TEXTS):
        text = text.strip()
        row = SpilledRow("", text, None, text, None, "made up", number)
        spill.add("train", content_key(content(text, None)), row)
    task = ShardTask(
        split="train",
        keys=KeyRange(index=0, count=1),
        spill_files=spill.close(),
        split_rows=len(TEXTS),
        split_bytes=1,
    )
    work = ShardWork(
        label_ids={"": 0},
        num_shards=1,
        num_labels=0,
        sequence_length=LENGTH,
        has_text_pair=False,
        drop_repeats=False,
        dropped_file="",
        out_dir=str(folder / "out"),
        scratch_dir=str(folder / "spill"),
        privacy=Privacy(),
    )
    made = tokenizer(folder, kind)
    builder = StatisticsBuilder(
        token_table(tokenizers.tokens(kind, folder / FILE_NAMES[kind])),
        num_labels=0,
        sequence_length=LENGTH,
        shares=sample_shares(len(TEXTS)),
    )
    return write_windows(task, work, tokenizer=made, statistics=builder), made, builder


@pytest.mark.parametrize("kind", FILE_NAMES)
def test_shard_holds_every_token_of_every_document_once(
    kind: TokenizerType, tmp_path: Path
) -> None:
    facts, made, builder = write(tmp_path, kind)
    spec = {
        name: tf.io.FixedLenFeature([LENGTH], tf.int64)
        for name in (TOKEN_IDS, SEGMENT_IDS, POSITIONS)
    }
    records = list(tf.data.TFRecordDataset(str(tmp_path / "out" / facts.records_file)))
    read = {name: value.numpy() for name, value in tf.io.parse_example(records, spec).items()}
    real = read[SEGMENT_IDS] > 0
    texts = pq.read_table(tmp_path / "out" / facts.texts_file)["text"].to_pylist()
    expected, lengths = document_function(made)(texts)
    assert sorted(texts) == sorted(text.strip() for text in TEXTS)
    assert np.sort(read[TOKEN_IDS][real]).tolist() == np.sort(expected).tolist()
    assert (read[TOKEN_IDS][~real] == made.special_ids.pad).all()
    ends = np.count_nonzero(read[TOKEN_IDS][real] == made.special_ids.end)
    assert ends == facts.num_documents == len(TEXTS)
    assert facts.num_examples == len(records) == sum(facts.length_counts)
    assert facts.num_tokens == real.sum() == lengths.sum()
    assert facts.num_tokens / (facts.num_examples * LENGTH) > 0.97
    assert (facts.num_truncated, facts.label_counts) == (0, ())
    assert builder.build().num_rows == len(TEXTS)


def test_documents_start_only_where_the_vocabulary_has_a_start() -> None:
    values, lengths = np.array([5, 6, 7], np.int32), np.array([2, 0, 1])
    ended = delimited(values, lengths, SpecialIds(pad=0, end=9))
    assert [part.tolist() for part in ended] == [[5, 6, 9, 9, 7, 9], [3, 1, 2]]
    both = delimited(values, lengths, SpecialIds(pad=0, end=9, start=8))
    assert [part.tolist() for part in both] == [[8, 5, 6, 9, 8, 9, 8, 7, 9], [4, 2, 3]]
