"""The `preprocess.source` section: which texts, in which files, in which columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SPLITS = ("train", "validation", "test")
SAMPLES = ("support",)
TFDS = "tfds:"
SAMPLE = "sample:"

Format = Literal["csv", "tsv", "jsonl", "parquet", "tfds", "sample"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the labelled texts come from.

    A place is a file or glob relative to `data_dir` (`**` crosses folders), several of them,
    `tfds:<name>[/config][:version][split]` or `sample:support` (embedded, made by a seed).
    """

    train: str | tuple[str, ...]
    validation: str | tuple[str, ...] | None = None  # None: cut from train
    test: str | tuple[str, ...] | None = None  # None: cut from train
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet"] = "auto"  # auto: by suffix
    quoting: Literal["auto", "quoted", "none"] = "auto"  # auto: csv quoted, tsv none
    text_column: str = "text"
    text_pair_column: str | None = None
    label_column: str = "label"
    label_names: tuple[str, ...] | None = None  # by id; None: learnt from train
    max_line_bytes: int = 1_000_000  # longer rows are rejected, never held in memory
    max_rows_per_file: int | None = None  # only the first rows of each file: a quick try

    def __post_init__(self) -> None:
        for split in SPLITS:
            self._check_places(split)
        self._check_columns()
        names = self.label_names
        if names is not None and (len(names) < 2 or len(set(names)) < len(names)):
            raise ValueError(
                f"label_names: must be at least two different names; received {list(names)}; "
                "give one name for each label id, or null to learn them from train"
            )
        if not 1_000 <= self.max_line_bytes <= 100_000_000:
            raise ValueError(
                "max_line_bytes: must be between 1000 and 100000000; received "
                f"{self.max_line_bytes}; rows above it are rejected"
            )
        if self.max_rows_per_file is not None and self.max_rows_per_file < 1:
            raise ValueError(
                "max_rows_per_file: must be at least 1, or null for all rows; received "
                f"{self.max_rows_per_file}; leave it out to read everything"
            )

    def places(self, split: str) -> tuple[str, ...]:
        """The files, globs or names given for `split`; empty when it is cut from train."""
        given = {"train": self.train, "validation": self.validation, "test": self.test}[split]
        return () if given is None else (given,) if isinstance(given, str) else tuple(given)

    def columns(self) -> tuple[str, ...]:
        """The columns to read: text, label, and the second text when there is one."""
        pair = () if self.text_pair_column is None else (self.text_pair_column,)
        return (self.text_column, self.label_column, *pair)

    def _check_columns(self) -> None:
        for field in ("text_column", "label_column", "text_pair_column"):
            if getattr(self, field) == "":
                raise ValueError(f"{field}: must be a column's name; received ''; name a column")
        columns = self.columns()
        if len(set(columns)) < len(columns):
            raise ValueError(
                "text_column: text, label and text pair must be different columns; received "
                f"{', '.join(columns)}; name one column each"
            )

    def _check_places(self, split: str) -> None:
        given = self.places(split)
        if (split == "train" and not given) or any(not place.strip() for place in given):
            raise ValueError(
                f"{split}: must name at least one file; received {getattr(self, split)!r}; "
                "give a path or glob relative to data_dir"
            )
        for place in given:
            if place.startswith(TFDS):
                parse_tfds(place, field=split)
            elif place.startswith(SAMPLE):
                self._check_sample(split, place)
            elif "://" in place:
                raise ValueError(
                    f"{split}: must be on a mounted file system; received {place!r}; copy the "
                    "files under data_dir, or mount the bucket"
                )

    def _check_sample(self, split: str, place: str) -> None:
        if place.removeprefix(SAMPLE) not in SAMPLES:
            known = ", ".join(SAMPLE + name for name in SAMPLES)
            raise ValueError(
                f"{split}: must be a sample that is embedded; received {place!r}; known: {known}"
            )
        if self.text_pair_column is not None:
            raise ValueError(
                f"text_pair_column: must be null with {place!r}, which has single texts; received "
                f"{self.text_pair_column!r}; leave it out"
            )


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """One readable thing of a split: a file, a prepared TFDS split, or a sample."""

    split: str
    name: str  # as people name it: relative to data_dir, or the place as configured
    path: Path  # the file; the folder of a TFDS version; for a sample only its name
    format: Format
    compressed: bool = False  # gzip
    tfds_split: str = ""  # "train", "train[:10%]"

    @property
    def field(self) -> str:
        """The YAML path to blame."""
        return f"preprocess.source.{self.split}"


@dataclass(frozen=True, kw_only=True)
class TfdsPlace:
    """The parts of `tfds:<name>[/config][:version][split]`."""

    name: str
    config: str | None
    version: str | None
    split: str


_TFDS = re.compile(
    r"tfds:(?P<name>\w+)(?:/(?P<config>[\w.+-]+))?(?::(?P<version>\d+\.\d+\.\d+))?"
    r"\[(?P<split>\w.*)\]"
)


def parse_tfds(place: str, *, field: str) -> TfdsPlace:
    """The parts of a `tfds:` place; `ValueError` shows the form it must have."""
    match = _TFDS.fullmatch(place)
    if match is None:
        raise ValueError(
            f"{field}: must look like tfds:name[/config][:1.0.0][split] with the last brackets "
            f"around the split; received {place!r}; e.g. tfds:imdb_reviews/plain_text[train]"
        )
    return TfdsPlace(**match.groupdict())
