"""The section `preprocess`: which texts, how they are split, judged, tokenised, and by whom."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

from ..reading.source import Source
from ..running.config import Dataflow, Portable, Running
from .duplicates.found import DuplicatesConfig
from .leakage import Leakage
from .privacy import Privacy
from .statistics.schema import SchemaConfig
from .vocabulary.config import Vocabulary, check_task


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Shares of the train rows for splits without a source of their own, by a hash of the text."""

    validation: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        for name, share in asdict(self).items():
            if not 0 <= share < 1:
                raise ValueError(
                    f"{name}: must be at least 0 and below 1; received {share}; "
                    "0.1 sets a tenth of the train rows aside"
                )
        if self.validation + self.test >= 1:
            raise ValueError(
                "validation: the shares must leave something to train on, so add up to less than "
                f"1; received {self.validation} + {self.test}; lower one"
            )


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides the shards, and below it who makes them: the same bytes, whoever."""

    source: Source
    # multi_label: a row has none, one or several labels; see source.label_separator
    task: Literal["classification", "multi_label", "language_model"] = "classification"
    cut: Cut = field(default_factory=Cut)
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    sequence_length: int = 128  # most tokens of a row, or the width of a language model's windows
    shard_size_mb: int = 32  # of text; as much as a worker sorts in memory at once
    num_shards: int | None = None  # of each split, a power of two; None: by shard_size_mb
    max_reject_share: float = 0.01  # of the rows read; more is an error
    duplicates: DuplicatesConfig = field(default_factory=DuplicatesConfig)
    leakage: Leakage = field(default_factory=Leakage)
    privacy: Privacy = field(default_factory=Privacy)
    schema: SchemaConfig = field(default_factory=SchemaConfig)
    runner: str = "in_process"  # in_process | processes | portable | dataflow
    num_workers: int = 1  # processes
    portable: Portable = field(default_factory=Portable)
    dataflow: Dataflow = field(default_factory=Dataflow)

    def __post_init__(self) -> None:
        if not 8 <= self.sequence_length <= 65_536:
            raise ValueError(
                f"sequence_length: must be from 8 to 65536; received {self.sequence_length}; 128 "
                "holds about 100 English words"
            )
        if not 1 <= self.shard_size_mb <= 4096:
            raise ValueError(
                f"shard_size_mb: must be from 1 to 4096; received {self.shard_size_mb}; "
                "leave it out to get 32"
            )
        count = self.num_shards
        if count is not None and not (1 <= count <= 4096 and count.bit_count() == 1):
            raise ValueError(
                f"num_shards: must be a power of two from 1 to 4096; received {count}; leave it "
                "out to have it follow from shard_size_mb"
            )
        if not 0 <= self.max_reject_share < 1:
            raise ValueError(
                "max_reject_share: must be at least 0 and below 1; received "
                f"{self.max_reject_share}; 0.01 allows one row in a hundred"
            )
        for split, share in asdict(self.cut).items():
            if not self.source.places(split) and not share:
                raise ValueError(
                    f"cut.{split}: must be above 0 when source.{split} is null; received {share}; "
                    f"give {split} a source, or a share of train"
                )
        check_task(self.vocabulary, self.task)
        self._check_labels()
        _ = self.running

    @property
    def running(self) -> Running:
        """Who makes the shards."""
        return Running(
            runner=self.runner,
            num_workers=self.num_workers,
            portable=self.portable,
            dataflow=self.dataflow,
        )

    def shares(self) -> dict[str, float]:
        """The cut of each split without a source of its own."""
        return {
            split: share
            for split, share in asdict(self.cut).items()
            if not self.source.places(split)
        }

    def _check_labels(self) -> None:
        if self.task != "language_model" and not self.source.labelled:
            raise ValueError(
                f"source.label_column: must name a column for task {self.task}; received null; "
                "name it, or set task: language_model"
            )
        separator = self.source.label_separator
        if (self.task == "multi_label") != (separator is not None):
            raise ValueError(
                "source.label_separator: must be given for task multi_label, and for no other; "
                f"received {separator!r} for task {self.task}; write what stands between the "
                "labels of a cell, e.g. '|', or null for one label a row"
            )
        if self.task == "language_model" and self.source.labelled:
            raise ValueError(
                "source.label_column: must be null for task language_model, which has no labels; "
                f"received {self.source.label_column!r}; write label_column: null"
            )
        if self.task == "language_model" and self.source.text_pair_column is not None:
            raise ValueError(
                "source.text_pair_column: must be null for task language_model, whose documents "
                f"are single texts; received {self.source.text_pair_column!r}; leave it out"
            )
