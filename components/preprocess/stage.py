"""Raw text -> ShardSet: cleaned, split, tokenised, shuffled by content into TFRecord shards."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import files, tokenizers
from ..contracts import ReasonCount, ShardSet
from ..example_spec import SPLITS
from ..stage import Context, Log
from ..vocabulary import TOKENIZER_VERSION, file_fingerprint
from . import findings
from .config import Config, Cut
from .planning import empty_split_problem
from .portions import num_buckets, num_readers, portions
from .progress import listening
from .reading import sources
from .reading.function import function_digest
from .reading.source import Source
from .rejects import Rejected, check_share, gather_rejects
from .results import Result, load_result, split_of_shards
from .running import runners as running
from .statistics import schema_file
from .vocabulary import preset
from .vocabulary.config import FILE_NAMES, Vocabulary
from .work import Work

__all__ = ["Config", "Cut", "Inputs", "Output", "Source", "Vocabulary", "check", "run"]

VERSION = 2

REJECTS_FILE = "rejects.jsonl"
SCRATCH = "scratch"
_WHO_WORKS = ("runner", "num_workers", "portable", "dataflow")  # the bytes are the same


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Nothing: the data comes from outside."""


Output = ShardSet


def fetch(config: Config, data_dir: Path, log: Log) -> None:
    """Has TensorFlow Datasets download and prepare what `tfds:` places name, once a machine."""
    sources.fetch(config.source, data_dir, log)


def check(config: Config, data_dir: Path) -> None:
    """`ValueError` for what the names and first rows of the sources, or local files, show."""
    running.check(config.running)
    sources.check(config.source, data_dir)
    schema_file.load(config.schema, data_dir)
    vocabulary = config.vocabulary
    if vocabulary.preset is not None:
        preset.check(vocabulary.preset, lowercase=vocabulary.lowercase, kind=vocabulary.type)


def identity(config: Config, data_dir: Path) -> object:
    """The config with the content of what it names in place of the names."""
    fields: dict[str, Any] = asdict(config)
    for name in _WHO_WORKS:
        del fields[name]
    for split in SPLITS:
        del fields["source"][split]
    fields["cut"] = config.shares()  # the other shares have no effect
    fields["content"] = sources.digest(config.source, data_dir)
    fields["function"] = function_digest(config.source)
    fields["schema"]["file"] = schema_file.digest(config.schema, data_dir)
    fields["tokenizer_version"] = TOKENIZER_VERSION
    if config.vocabulary.preset is not None:
        fields["vocabulary"] = {
            "type": config.vocabulary.type,
            "lowercase": config.vocabulary.lowercase,
            "preset": preset.digest(config.vocabulary.preset, kind=config.vocabulary.type),
        }
    return json.loads(json.dumps(fields))  # lists for tuples


def run(config: Config, inputs: Inputs, ctx: Context) -> ShardSet:
    """Leaves the vocabulary, rejects.jsonl, statistics.json, schema.yaml, a TFDS description, and a
    folder of shards for each split.

    Raises:
        ValueError: a split without rows, fewer than two labels, more rejected rows than allowed,
            or what the config says is to fail.
        RuntimeError: the runner could not bring the work to an end.
    """
    del inputs
    with _no_warnings():  # Beam names clients of Google Cloud that it misses
        from . import graph
    listed = [
        file for split in SPLITS for file in sources.list_files(config.source, split, ctx.data_dir)
    ]
    work = _work(config, num_buckets(listed, config.shard_size_mb * 1_000_000), ctx)
    if config.vocabulary.preset is not None:
        preset.save_file(
            config.vocabulary.preset,
            work.vocabulary_file,
            lowercase=config.vocabulary.lowercase,
            kind=config.vocabulary.type,
        )
    parts = portions(listed, num_readers(config.running))
    alone = config.runner == "in_process"
    with listening(ctx.log, Path(work.progress_dir)):
        running.run(
            lambda pipeline: graph.build(pipeline, work, parts, alone=alone),
            config.running,
            log=ctx.log,
            name="preprocess",
        )
    result = load_result(work.result_file)
    rejected = gather_rejects(result.rejects_files, ctx.workdir / REJECTS_FILE)
    if result.problem is None:
        _bring(work, ctx)
    for folder in (work.scratch_dir, work.progress_dir):
        files.remove_folder(folder)
    check_share(rejected, result.num_read, config.max_reject_share, ctx.workdir / REJECTS_FILE)
    if result.problem is not None:
        raise ValueError(result.problem)
    shards = _shard_set(work, result, rejected, ctx)
    findings.judge(config, shards, result, rejected.counts, ctx)
    _tell(shards, ctx)
    return shards


@contextmanager
def _no_warnings() -> Iterator[None]:
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _work(config: Config, buckets: int, ctx: Context) -> Work:
    out_dir, scratch_dir = _places(config, ctx)
    return Work(
        task=config.task,
        source=config.source,
        cut=config.shares(),
        vocabulary=config.vocabulary,
        sequence_length=config.sequence_length,
        shard_size_bytes=config.shard_size_mb * 1_000_000,
        num_shards=config.num_shards,
        num_buckets=buckets,
        max_reject_share=config.max_reject_share,
        duplicates=config.duplicates,
        privacy=config.privacy,
        sample_columns=config.leakage.columns != "off",
        out_dir=out_dir,
        scratch_dir=scratch_dir,
        progress_dir=str(ctx.workdir / "progress"),
    )


def _places(config: Config, ctx: Context) -> tuple[str, str]:
    """Where workers write what stays, and what does not."""
    if config.runner in ("portable", "dataflow") and files.is_remote(ctx.shared):
        return ctx.shared, files.join(ctx.shared, SCRATCH)
    if config.runner == "dataflow":
        scratch_dir = files.join(str(config.dataflow.temp_location), f"tpuline-{uuid.uuid4().hex}")
        return files.join(scratch_dir, "out"), scratch_dir
    return str(ctx.workdir), str(ctx.workdir / SCRATCH)


def _bring(work: Work, ctx: Context) -> None:
    """What workers of other machines wrote: all of it, or, when it is in its place, what this
    machine needs to go on.
    """
    if work.out_dir == str(ctx.workdir):
        return
    if work.out_dir == ctx.shared:
        paths = [work.vocabulary_file]
    else:
        paths = [file.path for file in files.below(work.out_dir)]
    for path in paths:
        files.copy(path, str(ctx.workdir / path.removeprefix(work.out_dir).lstrip("/")))


def _shard_set(work: Work, result: Result, rejected: Rejected, ctx: Context) -> ShardSet:
    splits = tuple(
        split_of_shards(name, [shard for shard in result.shards if shard.split == name])
        for name in SPLITS
    )
    for split in splits:
        if not split.num_examples:
            raise ValueError(empty_split_problem(split.name, result.num_read, work))
    kind = work.vocabulary.type
    vocabulary_file = ctx.workdir / FILE_NAMES[kind]
    return ShardSet(
        uri=str(ctx.workdir),
        task=work.task,
        splits=splits,
        label_names=result.label_names,
        has_text_pair=work.has_text_pair,
        sequence_length=work.sequence_length,
        tokenizer=kind,
        vocabulary_file=vocabulary_file.name,
        vocabulary_size=len(tokenizers.tokens(kind, vocabulary_file)),
        lowercase=work.vocabulary.lowercase,
        tokenizer_fingerprint=file_fingerprint(
            kind,
            vocabulary_file,
            lowercase=work.vocabulary.lowercase,
            has_text_pair=work.has_text_pair,
        ),
        rejects_file=REJECTS_FILE,
        num_rejected=rejected.counts.total(),
        rejected_by_reason=_counts(rejected.counts),
        redacted=_counts(result.redacted),
        statistics_file=findings.STATISTICS_FILE,
        schema_file=findings.SCHEMA_FILE,
    )


def _counts(counts: Mapping[str, int]) -> tuple[ReasonCount, ...]:
    return tuple(ReasonCount(reason=name, count=count) for name, count in sorted(counts.items()))


def _tell(shards: ShardSet, ctx: Context) -> None:
    counts = ", ".join(f"{split.name} {split.num_documents:,}" for split in shards.splits)
    labels = f"{len(shards.label_names)} labels; " if shards.label_names else ""
    ctx.log.info(
        f"rows: {counts}; set aside {shards.num_rejected:,}; {labels}"
        f"vocabulary {shards.vocabulary_size:,}"
    )
    for split in shards.splits:
        share = split.num_truncated / split.num_examples
        if share > 0.5:
            ctx.log.info(
                f"{split.name}: {share:.0%} of the texts are cut to {shards.sequence_length} "
                "tokens; preprocess.sequence_length sets it"
            )
