"""A small preprocess artifact, put together by hand: real files, no run of the stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from tpuline.components.contracts import Shard, ShardSet, Split
from tpuline.components.preprocess.privacy import Privacy
from tpuline.components.preprocess.statistics.profiling import Profiler
from tpuline.components.preprocess.statistics.stored import DataFacts, dumps
from tpuline.components.preprocess.statistics.text_rows import TextRow
from tpuline.components.vocabulary import fingerprint, save_vocabulary
from tpuline.pipeline import store

WORDS = ("parcel", "late", "refund", "please", "thanks", "the", "is", "my", "invoice", "card")
VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)
LABELS = ("delivery", "money")
SOURCE: dict[str, Any] = {
    "text_column": "message",
    "text_pair_column": None,
    "label_column": "intent",
    "label_map": None,
    "label_from": "column",
}

Rows = Sequence[tuple[str, int]]


def store_data(
    root: Path,
    key: str,
    splits: Mapping[str, Rows],
    *,
    vocabulary: tuple[str, ...] = VOCABULARY,
    with_statistics: bool = True,
    privacy: Privacy = Privacy(),  # noqa: B008  frozen
) -> Path:
    """`<root>/preprocess/<key>` with texts, vocabulary, statistics and manifest."""
    shelf = store.Store(root)
    folder = shelf.folder("preprocess", key)
    folder.mkdir(parents=True)
    config = {"source": SOURCE, "privacy": asdict(privacy)}
    save_vocabulary(vocabulary, folder / "vocabulary.txt")
    shards = ShardSet(
        uri=str(folder), splits=tuple(_split(folder, name, rows) for name, rows in splits.items()),
        label_names=LABELS, has_text_pair=False, sequence_length=16,
        vocabulary_file="vocabulary.txt", vocabulary_size=len(vocabulary), lowercase=True,
        tokenizer_fingerprint=fingerprint(vocabulary, lowercase=True, has_text_pair=False),
        rejects_file="rejects.jsonl", num_rejected=0, rejected_by_reason=(),
    )  # fmt: skip
    if with_statistics:
        profiler = Profiler(shards)
        found = {
            name: profiler.profile([TextRow(text, None, LABELS[label]) for text, label in rows])[0]
            for name, rows in splits.items()
        }
        (folder / "statistics.json").write_text(dumps(DataFacts(splits=found)), encoding="utf-8")
        shards = replace(shards, statistics_file="statistics.json")
    shelf.commit(
        store.Manifest(
            format=store.FORMAT, stage="preprocess", key=key, stage_version=1, created="",
            seconds=0.0, inputs={}, identity={"config": config}, versions={}, machine={},
            warnings=(), files=store.describe(folder),
            output=asdict(shards) | {"uri": "."},
        )
    )  # fmt: skip
    return folder


def _split(folder: Path, name: str, rows: Rows) -> Split:
    texts = folder / name / "texts-00000-of-00001.parquet"
    texts.parent.mkdir()
    labels = [label for _, label in rows]
    table = pa.table({"text": [text for text, _ in rows], "label": pa.array(labels, pa.int32())})
    parquet.write_table(table, texts)
    shard = Shard(
        records_file="", texts_file=f"{name}/{texts.name}", num_examples=len(rows), size_bytes=0,
        sha256="",
    )  # fmt: skip
    return Split(
        name=name, num_examples=len(rows), num_documents=len(rows), num_tokens=0, num_truncated=0,
        label_counts=(labels.count(0), labels.count(1)), length_counts=(0,) * 17, shards=(shard,),
    )  # fmt: skip
