"""Raw text -> ShardSet: cleaned, split, tokenised, shuffled by content into TFRecord shards."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..contracts import ReasonCount, ShardSet
from ..example_spec import SPLITS
from ..stage import Context, Log
from ..vocabulary import TOKENIZER_VERSION, fingerprint, load_vocabulary, save_vocabulary
from . import preset, sources
from .progress import listening
from .rejects import Rejected, check_share, gather_rejects
from .source import Source
from .splits import num_ranges
from .work import Work

VERSION = 1

REJECTS_FILE = "rejects.jsonl"
MAX_BUCKETS = 64  # open files at once: three splits times as many


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
class Vocabulary:
    """Learnt from the train split (1,000 bytes of text for each token), or a preset's."""

    size: int = 8000  # at most; 10 to 30 thousand for large data
    min_frequency: int = 2  # rarer words, characters and pieces do not count
    lowercase: bool = True  # accents go too, as in BERT uncased
    preset: str | None = None  # a KerasHub name, or a folder; size and frequency are then unused

    def __post_init__(self) -> None:
        if not 100 < self.size <= 1_000_000:
            raise ValueError(
                f"size: must be above 100 and at most 1000000; received {self.size}; 8000 is "
                "enough for most classifiers"
            )
        if self.min_frequency < 1:
            raise ValueError(
                f"min_frequency: must be at least 1; received {self.min_frequency}; 2 leaves out "
                "what was seen only once"
            )


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which texts, how they are split and tokenised, and how large the files are."""

    source: Source
    cut: Cut = field(default_factory=Cut)
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    sequence_length: int = 128  # most tokens of a row, [CLS] and [SEP] included
    shard_size_mb: int = 32  # of text; as much as a worker sorts in memory at once
    num_shards: int | None = None  # of each split, a power of two; None: by shard_size_mb
    max_reject_share: float = 0.01  # of the rows read; more is an error

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

    def shares(self) -> dict[str, float]:
        """The cut of each split without a source of its own."""
        return {
            split: share
            for split, share in asdict(self.cut).items()
            if not self.source.places(split)
        }


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Nothing: the data comes from outside."""


Output = ShardSet


def fetch(config: Config, data_dir: Path, log: Log) -> None:
    """Has TensorFlow Datasets download and prepare what `tfds:` places name, once a machine."""
    sources.fetch(config.source, data_dir, log)


def check(config: Config, data_dir: Path) -> None:
    """`ValueError` for what the names and first rows of the sources, or a preset folder, show."""
    sources.check(config.source, data_dir)
    if config.vocabulary.preset is not None:
        preset.check(config.vocabulary.preset, lowercase=config.vocabulary.lowercase)


def identity(config: Config, data_dir: Path) -> object:
    """The config with the content of the sources, and of a preset folder, in place of names."""
    fields: dict[str, Any] = asdict(config)
    for split in SPLITS:
        del fields["source"][split]
    fields["cut"] = config.shares()  # the other shares have no effect
    fields["content"] = sources.digest(config.source, data_dir)
    fields["tokenizer_version"] = TOKENIZER_VERSION
    if config.vocabulary.preset is not None:
        fields["vocabulary"] = {
            "lowercase": config.vocabulary.lowercase,
            "preset": preset.digest(config.vocabulary.preset),
        }
    return json.loads(json.dumps(fields))  # lists for tuples


def run(config: Config, inputs: Inputs, ctx: Context) -> ShardSet:
    """Leaves vocabulary.txt, rejects.jsonl, and a folder of shards for each split.

    Raises:
        ValueError: a split without rows, fewer than two labels, more rejected rows than allowed.
    """
    del inputs
    with _no_warnings():  # Beam names clients of Google Cloud that it misses
        from . import graph
    from .planning import empty_split_problem
    from .results import load_result, split_of_shards

    files = [
        file for split in SPLITS for file in sources.list_files(config.source, split, ctx.data_dir)
    ]
    work = _work(config, files, ctx.workdir)
    if config.vocabulary.preset is not None:
        vocabulary = preset.load(config.vocabulary.preset, lowercase=work.lowercase)
        save_vocabulary(vocabulary, work.vocabulary_file)
    with listening(ctx.log):
        graph.run_in_process(work, files)
    result = load_result(Path(work.result_file))
    rejected = gather_rejects(result.rejects_files, ctx.workdir / REJECTS_FILE)
    shutil.rmtree(work.spill_dir)
    _refuse(config, result.problem, rejected, result.num_read, ctx.workdir / REJECTS_FILE)
    splits = tuple(
        split_of_shards(name, [shard for shard in result.shards if shard.split == name])
        for name in SPLITS
    )
    for split in splits:
        if not split.num_examples:
            raise ValueError(empty_split_problem(split.name, result.num_read, work))
    shards = ShardSet(
        uri=str(ctx.workdir),
        splits=splits,
        label_names=result.label_names,
        has_text_pair=work.has_text_pair,
        sequence_length=config.sequence_length,
        vocabulary_file=Path(work.vocabulary_file).name,
        vocabulary_size=result.vocabulary_size,
        lowercase=work.lowercase,
        tokenizer_fingerprint=fingerprint(
            load_vocabulary(work.vocabulary_file),
            lowercase=work.lowercase,
            has_text_pair=work.has_text_pair,
        ),
        rejects_file=REJECTS_FILE,
        num_rejected=rejected.counts.total(),
        rejected_by_reason=tuple(
            ReasonCount(reason=reason, count=count)
            for reason, count in sorted(rejected.counts.items())
        ),
    )
    _tell(shards, ctx)
    return shards


@contextmanager
def _no_warnings() -> Iterator[None]:
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _work(config: Config, files: list[sources.InputFile], workdir: Path) -> Work:
    shard_size_bytes = config.shard_size_mb * 1_000_000
    return Work(
        source=config.source,
        cut=config.shares(),
        vocabulary_size=config.vocabulary.size,
        min_frequency=config.vocabulary.min_frequency,
        learn=config.vocabulary.preset is None,
        lowercase=config.vocabulary.lowercase,
        sequence_length=config.sequence_length,
        shard_size_bytes=shard_size_bytes,
        num_shards=config.num_shards,
        num_buckets=num_ranges(_num_source_bytes(files), shard_size_bytes, MAX_BUCKETS),
        max_reject_share=config.max_reject_share,
        workdir=str(workdir),
    )


def _num_source_bytes(files: list[sources.InputFile]) -> int:
    """About how much text there is. A guess off by far costs speed, and changes no byte."""
    total = 0
    for file in files:
        packed = file.compressed or file.format == "parquet"
        paths = file.path.rglob("*") if file.path.is_dir() else [file.path]
        size = sum(path.stat().st_size for path in paths if path.is_file())
        total += size * 3 if packed else size
    return total


def _refuse(
    config: Config, problem: str | None, rejected: Rejected, num_read: int, path: Path
) -> None:
    """`ValueError` for too many rejects, or for what else stopped the run."""
    check_share(rejected, num_read, config.max_reject_share, path)
    if problem is not None:
        raise ValueError(problem)


def _tell(shards: ShardSet, ctx: Context) -> None:
    counts = ", ".join(f"{split.name} {split.num_examples:,}" for split in shards.splits)
    ctx.log.info(
        f"rows: {counts}; rejected {shards.num_rejected:,}; {len(shards.label_names)} labels; "
        f"vocabulary {shards.vocabulary_size:,}"
    )
    for split in shards.splits:
        share = split.num_truncated / split.num_examples
        if share > 0.5:
            ctx.log.info(
                f"{split.name}: {share:.0%} of the texts are cut to {shards.sequence_length} "
                "tokens; preprocess.sequence_length sets it"
            )
