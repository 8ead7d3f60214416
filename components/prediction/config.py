"""What `predict` reads, how it answers and who works: knobs, all with a default. Pure."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..reading.source import Source
from ..running.config import Dataflow, Portable, Running

_WHO_WORKS = ("runner", "num_workers", "portable", "dataflow")
_NO_ANSWERS = (*_WHO_WORKS, "max_reject_share")


class TooManyRejects(Exception):
    """More rows than are allowed have no answer; those of the others are there."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Columns of the input, shape of the output, and below it who makes it: the same, whoever."""

    text_column: str = "text"
    text_pair_column: str | None = None  # where the model takes two texts a row
    id_column: str | None = None  # None: an answer is known by file and row
    format: Literal["auto", "csv", "tsv", "jsonl", "text", "lines", "parquet", "arrow"] = "auto"
    quoting: Literal["auto", "quoted", "none"] = "auto"  # as of preprocess.source
    max_line_bytes: int = 1_000_000  # longer rows are set aside, never held in memory
    output_format: Literal["parquet", "jsonl"] = "parquet"
    include_text: bool = False  # beside each answer
    max_reject_share: float = 0.01  # of the rows read; more is an error, when all is written
    batch_rows: int = 64  # most rows of one call of the model
    shard_size_mb: int = 8  # of text, about; also the least that is done again after a crash
    runner: str = "in_process"  # in_process | processes | portable | dataflow
    num_workers: int = 1  # processes
    portable: Portable = field(default_factory=Portable)
    dataflow: Dataflow = field(default_factory=Dataflow)

    def __post_init__(self) -> None:
        if not 1 <= self.batch_rows <= 4096:
            raise ValueError(
                f"batch_rows: must be from 1 to 4096; received {self.batch_rows}; leave it out to "
                "get 64"
            )
        if not 1 <= self.shard_size_mb <= 4096:
            raise ValueError(
                f"shard_size_mb: must be from 1 to 4096; received {self.shard_size_mb}; leave it "
                "out to get 8"
            )
        if not 0 <= self.max_reject_share <= 1:
            raise ValueError(
                f"max_reject_share: must be from 0 to 1; received {self.max_reject_share}; 0.01 "
                "allows one row in a hundred"
            )
        _ = self.running
        _ = self.source("any")

    @property
    def running(self) -> Running:
        """Who answers."""
        return Running(
            runner=self.runner,
            num_workers=self.num_workers,
            portable=self.portable,
            dataflow=self.dataflow,
        )

    def source(self, *places: str) -> Source:
        """What is read. The id travels where training has the label, which no row here has."""
        try:
            return Source(
                train=places,
                format=self.format,
                quoting=self.quoting,
                text_column=self.text_column,
                text_pair_column=self.text_pair_column,
                label_column=self.id_column,
                max_line_bytes=self.max_line_bytes,
            )
        except ValueError as error:
            raise ValueError(in_own_words(str(error))) from None

    def decides(self) -> dict[str, Any]:
        """The part that another value of would give other answers, or other files."""
        plain = asdict(self)
        return {name: value for name, value in plain.items() if name not in _NO_ANSWERS}


_OTHER_WORDS = (
    (re.compile(r"^train\b|preprocess\.source\.train\b"), "--input"),
    (re.compile(r"(preprocess\.source\.)?label_column\b"), "id_column"),
    (re.compile(r"\bpreprocess\.(source\.)?"), ""),
    (re.compile(r"\bthe label (?=must|is)"), "the id "),
)


def in_own_words(message: str) -> str:
    """What readers and runners say, which name the settings of preprocess, for `predict`."""
    for pattern, words in _OTHER_WORDS:
        message = pattern.sub(words, message)
    return message
