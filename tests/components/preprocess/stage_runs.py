"""Runs the stage on small files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tpuline.components.contracts import ShardSet
from tpuline.components.preprocess import stage
from tpuline.components.reading.source import Source
from tpuline.components.stage import Context


@dataclass
class Log:
    """Keeps what it is told."""

    infos: list[str] = field(default_factory=list)
    tasks: dict[str, float] = field(default_factory=dict)

    def info(self, message: str, **facts: Any) -> None:
        self.infos.append(message)

    def warning(self, message: str, **facts: Any) -> None:
        raise AssertionError(message)

    def progress(self, task: str, completed: float, total: float | None, note: str = "") -> None:
        self.tasks[task] = completed


def config(**changes: Any) -> stage.Config:
    """A small config for `train.csv`, cut three ways."""
    fields: dict[str, Any] = {
        "source": Source(train="train.csv"),
        "cut": stage.Cut(validation=0.2, test=0.2),
        "vocabulary": stage.Vocabulary(size=200, min_frequency=1),
        "sequence_length": 16,
    }
    return stage.Config(**fields | changes)


def preprocess(data: Path, out: Path, made: stage.Config, log: Log | None = None) -> ShardSet:
    """Runs the stage in the empty folder `out`."""
    out.mkdir()
    ctx = Context(
        workdir=out,
        shared=str(out),
        data_dir=data,
        seed=0,
        hardware=None,  # type: ignore[arg-type]
        log=log or Log(),
    )
    return stage.run(made, stage.Inputs(), ctx)


def write_csv(path: Path, rows: Iterable[tuple[str, ...]], columns: str = "text label") -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([tuple(columns.split()), *rows])


def numbered_rows(count: int) -> list[tuple[str, str]]:
    """Different texts, two labels, a few of them marked up or odd."""
    shapes = (
        "row {} is good",
        "<b>row</b> {} was\u00a0bad",
        "Ärger {}  über zwei",
        "x" * 300 + " {}",
    )
    return [(shapes[i % 4].format(i), "neg" if i % 3 else "pos") for i in range(count)]


def texts(shards: ShardSet, split: str) -> list[dict[str, Any]]:
    """The rows of the Parquet files, in order."""
    from pyarrow import parquet

    return [
        row
        for shard in shards.split(split).shards
        for row in parquet.read_table(Path(shards.uri) / shard.texts_file).to_pylist()
    ]


def records(shards: ShardSet, split: str) -> list[dict[str, list[int]]]:
    """The rows of the TFRecord files, in order."""
    import tensorflow as tf

    rows = []
    for shard in shards.split(split).shards:
        for record in tf.data.TFRecordDataset(str(Path(shards.uri) / shard.records_file)):
            features = tf.train.Example.FromString(record.numpy()).features.feature
            rows.append({name: list(features[name].int64_list.value) for name in features})
    return rows


def rejects(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "rejects.jsonl").read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
