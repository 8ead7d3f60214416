"""A small labelled corpus on disk and a real SavedModel that answers by one word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.components.no_hardware import NoHardware
from tpuline.components.contracts import (
    Parity,
    ReferenceAccuracy,
    References,
    Servable,
    Shard,
    ShardSet,
    Split,
)
from tpuline.components.stage import Context

LABEL_NAMES = ("negative", "positive")
Row = tuple[str, str | None, int]


@dataclass
class Recorder:
    """A log that keeps what it is told."""

    infos: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    tasks: dict[str, float] = field(default_factory=dict)  # share done at the last call

    def info(self, message: str, **facts: Any) -> None:
        self.infos.append(message)

    def warning(self, message: str, **facts: Any) -> None:
        self.warnings.append(message)

    def progress(self, task: str, completed: float, total: float | None, note: str = "") -> None:
        self.tasks[task] = completed / total if total is not None else completed


@pytest.fixture
def log() -> Recorder:
    return Recorder()


@pytest.fixture
def context(tmp_path: Path, log: Recorder) -> Context:
    workdir = tmp_path / "work"
    workdir.mkdir()
    return Context(workdir=workdir, data_dir=tmp_path, seed=7, hardware=NoHardware(), log=log)


def write_shards(
    folder: Path,
    splits: dict[str, list[Row]],
    *,
    num_shards: int = 2,
    kept: dict[str, list[str]] | None = None,
) -> ShardSet:
    """Only what judging reads: counts and texts files; `kept` has cells by column, in row order."""
    has_text_pair = any(pair is not None for rows in splits.values() for _, pair, _ in rows)
    return ShardSet(
        uri=str(folder),
        splits=tuple(
            _write_split(folder, name, rows, has_text_pair, num_shards, kept or {})
            for name, rows in splits.items()
        ),
        label_names=LABEL_NAMES,
        has_text_pair=has_text_pair,
        sequence_length=32,
        vocabulary_file="vocabulary.txt",
        vocabulary_size=10,
        lowercase=True,
        tokenizer_fingerprint="toy",
        rejects_file="rejects.jsonl",
        num_rejected=0,
        rejected_by_reason=(),
        kept_columns=tuple(kept or ()),
    )


def _write_split(
    folder: Path,
    name: str,
    rows: list[Row],
    has_text_pair: bool,
    num_shards: int,
    kept: dict[str, list[str]],
) -> Split:
    import pyarrow as pa
    from pyarrow import parquet

    (folder / name).mkdir(parents=True)
    shards = []
    for number, places in enumerate(np.array_split(np.arange(len(rows)), num_shards)):
        chosen = [rows[place] for place in places]
        columns: dict[str, Any] = {"text": pa.array([row[0] for row in chosen], pa.string())}
        if has_text_pair:
            columns["text_pair"] = pa.array([row[1] for row in chosen], pa.string())
        columns["label"] = pa.array([row[2] for row in chosen], pa.int64())
        for column, cells in kept.items():
            columns[f"kept.{column}"] = pa.array([cells[place] for place in places], pa.string())
        texts_file = f"{name}/texts-{number:05d}-of-{num_shards:05d}.parquet"
        parquet.write_table(pa.table(columns), folder / texts_file)
        shards.append(
            Shard(
                records_file="none",
                texts_file=texts_file,
                num_examples=len(chosen),
                size_bytes=0,
                sha256="",
            )
        )
    labels = [row[2] for row in rows]
    return Split(
        name=name,
        num_examples=len(rows),
        num_documents=len(rows),
        num_tokens=0,
        num_truncated=0,
        label_counts=tuple(labels.count(label) for label in range(len(LABEL_NAMES))),
        length_counts=(),
        shards=tuple(shards),
    )


def opinions(num_rows: int, *, seed: int, wrong: int = 0) -> list[Row]:
    """`... good ...` is positive, `... bad ...` negative; the last `wrong` rows lie."""
    rng = np.random.default_rng(seed)
    fillers = ("the", "film", "was", "plot", "actor", "and", "really", "scene")
    rows: list[Row] = []
    for number in range(num_rows):
        label = int(rng.random() < 0.4)
        words = [*rng.choice(fillers, size=rng.integers(2, 12)), ("bad", "good")[label]]
        rng.shuffle(words)
        lies = number >= num_rows - wrong
        rows.append((f"{' '.join(words)} {number}", None, 1 - label if lies else label))
    return rows


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """400 train rows, 120 test rows of which 6 are labelled wrongly; validation is empty."""
    folder = tmp_path_factory.mktemp("shards")
    splits = {
        "train": opinions(400, seed=1),
        "validation": [],
        "test": opinions(120, seed=2, wrong=6),
    }
    return write_shards(folder, splits)


def references(*splits: str) -> References:
    """Of a data set where six of 120 rows are labelled wrongly."""
    made = (ReferenceAccuracy(split=name, majority=0.6, linear=114 / 120) for name in splits)
    return References(uri="none", accuracies=tuple(made))


@pytest.fixture(scope="session")
def export_word_model(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Servable]:
    """`export_word_model(has_text_pair=False, broken=None)`: a servable made of string ops."""

    def export(*, has_text_pair: bool = False, broken: str | None = None) -> Servable:
        folder = tmp_path_factory.mktemp("servable")
        _save_word_model(folder / "model/1", has_text_pair, broken)
        return Servable(
            uri=str(folder),
            saved_model_dir="model/1",
            version=1,
            size_bytes=12_345_678,
            label_names=LABEL_NAMES,
            has_text_pair=has_text_pair,
            sequence_length=32,
            tokenizer_fingerprint="toy",
            parity=Parity(
                passed=True, num_texts=64, token_mismatches=0, max_abs_diff=1e-7, tolerance=1e-5
            ),
        )

    return export


@pytest.fixture(scope="session")
def word_model(export_word_model: Callable[..., Servable]) -> Servable:
    """Answers `positive` to texts with `good` in them, surer the longer the text."""
    return export_word_model()


@pytest.fixture(scope="session")
def deaf_model(export_word_model: Callable[..., Servable]) -> Path:
    """Folder of a model that answers `positive` to everything; its labels stand in other order."""
    servable = export_word_model(broken="deaf")
    folder = Path(servable.uri) / servable.saved_model_dir
    (folder / "assets" / "labels.txt").write_text("positive\nnegative\n", encoding="utf-8")
    return folder


def _save_word_model(folder: Path, has_text_pair: bool, broken: str | None) -> None:
    import tensorflow as tf

    def classify(text: Any) -> dict[str, Any]:
        is_good = tf.strings.regex_full_match(text, r".*\bgood\b.*")
        length = tf.cast(tf.strings.length(text), tf.float32)
        score = 0.6 + 0.39 * length / (length + 40.0)
        good = tf.where(is_good, score, 1.0 - score)
        probabilities = tf.stack([1.0 - good, good], axis=1)
        if broken == "nan":
            probabilities = probabilities + float("nan")
        if broken == "python":  # where nobody gets to: another process could not run it
            asked = is_good
            is_good = tf.cond(
                tf.size(text) > 100_000,
                lambda: tf.ensure_shape(tf.py_function(tf.identity, [asked], tf.bool), [None]),
                lambda: asked,
            )
        if broken == "label":
            is_good = tf.logical_not(is_good)
        if broken == "deaf":
            is_good = tf.ones_like(is_good)
            probabilities = tf.stack([1.0 - score, score], axis=1)
        names = ("bad?", "good?") if broken == "names" else LABEL_NAMES
        return {
            "label": tf.where(is_good, names[1], names[0]),
            "score": score,
            "probabilities": probabilities,
        }

    spec = tf.TensorSpec((None,), tf.string)

    class WordModel(tf.Module):
        @tf.function(input_signature=[spec])
        def single(self, text: Any) -> dict[str, Any]:
            return classify(text)

        @tf.function(input_signature=[spec, spec])
        def paired(self, text: Any, text_pair: Any) -> dict[str, Any]:
            return classify(tf.strings.join([text, text_pair], separator=" "))

    module = WordModel()
    served = module.paired if has_text_pair else module.single
    tf.saved_model.save(module, str(folder), signatures={"serving_default": served})
    (folder / "assets").mkdir(exist_ok=True)
    (folder / "assets" / "labels.txt").write_text("\n".join(LABEL_NAMES) + "\n", encoding="utf-8")
