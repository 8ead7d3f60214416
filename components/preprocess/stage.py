"""Raw text -> ShardSet: cleaned, split, tokenised, shuffled by content into TFRecord shards."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import files, tokenizers
from ..contracts import ReasonCount, ShardSet
from ..example_spec import SPLITS
from ..reading import sources
from ..reading.function import function_digest
from ..reading.source import InputFile, Source
from ..running import reach
from ..running import runners as running
from ..running.progress import listening
from ..stage import Context, Log
from ..vocabulary import TOKENIZER_VERSION, file_fingerprint
from . import findings
from .config import Config, Cut
from .labels import told_of_sets
from .planning import empty_split_problem
from .portions import num_buckets, num_readers, portions
from .privacy import Redactor
from .rejects import Rejected, check_share, gather_rejects
from .results import Result, load_result, split_of_shards
from .statistics import schema_file
from .vocabulary import preset
from .vocabulary.config import FILE_NAMES, Vocabulary
from .work import Work

__all__ = ["Config", "Cut", "Inputs", "Output", "Source", "Vocabulary", "check", "run"]

VERSION = 3

REJECTS_FILE = "rejects.jsonl"
SCRATCH = "scratch"
_WHO_WORKS = ("runner", "num_workers", "portable", "dataflow")  # the bytes are the same


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Nothing: the data comes from outside."""


Output = ShardSet


def fetch(config: Config, data_dir: Path, log: Log) -> None:
    """Has TensorFlow Datasets download and prepare what `tfds:` places name, once a machine."""
    reach.check_source(config.running, config.source, data_dir)
    sources.fetch(config.source, data_dir, log)


def check(config: Config, data_dir: Path) -> None:
    """`ValueError` for what the names and first rows of the sources, or local files, show."""
    running.check(config.running)
    reach.check_source(config.running, config.source, data_dir)
    _check_sources(config, data_dir)
    schema_file.load(config.schema, data_dir)
    vocabulary = config.vocabulary
    if vocabulary.preset is not None:
        preset.check(vocabulary.preset, lowercase=vocabulary.lowercase, kind=vocabulary.type)


def _check_sources(config: Config, data_dir: Path) -> None:
    """The words show what stands in the files: redacted like the rest of it."""
    redactor = Redactor(config.privacy)
    try:
        sources.check(config.source, data_dir)
    except ValueError as error:
        if not redactor.active:
            raise
        raise ValueError(redactor.redact(str(error))) from None


def identity(config: Config, data_dir: Path) -> object:
    """The config with the content of what it names in place of the names."""
    fields: dict[str, Any] = asdict(config)
    for name in _WHO_WORKS:
        del fields[name]
    for split in SPLITS:
        del fields["source"][split]
    if not config.source.keep_columns:
        del fields["source"]["keep_columns"]  # keys are as they were before there were such
    if config.source.label_separator is None:
        del fields["source"]["label_separator"]  # nor of this
    fields["cut"] = config.shares()  # the other shares have no effect
    fields["content"] = sources.digest(config.source, data_dir)
    fields["function"] = function_digest(config.source)
    patterns = config.privacy.patterns  # one after the other: keys are sorted, lists are not
    fields["privacy"]["patterns"] = [list(item) for item in patterns.items()]
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
    reach.check_store(config.running, ctx.shared)
    listed = [
        file for split in SPLITS for file in sources.list_files(config.source, split, ctx.data_dir)
    ]
    work = _work(config, num_buckets(listed, config.shard_size_mb * 1_000_000), ctx)
    with _scratch(work, ctx):
        result = _through_beam(config, work, listed, ctx)
        rejected = gather_rejects(result.rejects_files, ctx.workdir / REJECTS_FILE)
        if result.problem is None:
            _bring(work, ctx)
    check_share(rejected, result.num_read, config.max_reject_share, ctx.workdir / REJECTS_FILE)
    if result.problem is not None:
        raise ValueError(result.problem)
    shards = _shard_set(work, result, rejected, ctx)
    findings.judge(config, shards, result, rejected.counts, ctx)
    _tell(shards, ctx)
    return shards


@contextmanager
def _scratch(work: Work, ctx: Context) -> Iterator[None]:
    """Clears up what the work left beside the artifact, for it holds texts; after an error too.

    When the user interrupts, a job elsewhere may go on: then the log names the folder.
    """
    try:
        yield
    except KeyboardInterrupt:
        if files.is_remote(work.scratch_dir):
            ctx.log.warning(f"{work.scratch_dir} holds texts; delete it when the job has ended")
        raise
    except Exception:
        _try_to_remove(work.scratch_dir, ctx)
        raise
    # The folder of all attempts: an older one may have been at work until now.
    for folder in (work.scratch_dir, files.join(work.out_dir, SCRATCH), work.progress_dir):
        files.remove_folder(folder)


def _try_to_remove(folder: str, ctx: Context) -> None:
    try:
        files.remove_folder(folder)
    except Exception as error:  # whatever it is, the one that came before matters more
        ctx.log.warning(f"{folder} holds texts and could not be removed ({error}); delete it")


def _through_beam(config: Config, work: Work, listed: Sequence[InputFile], ctx: Context) -> Result:
    """The two passes over the rows."""
    with running.no_warnings():  # Beam names clients of Google Cloud that it misses
        from . import graph
    chosen = config.vocabulary
    if chosen.preset is not None:
        preset.save_file(
            chosen.preset, work.vocabulary_file, lowercase=chosen.lowercase, kind=chosen.type
        )
    parts = portions(listed, num_readers(config.running))
    alone = config.runner == "in_process"
    with listening(ctx.log, Path(work.progress_dir)):
        running.run(
            lambda pipeline: graph.build(pipeline, work, parts, alone=alone),
            config.running,
            log=ctx.log,
            name=f"preprocess-{ctx.workdir.name}",  # the key of the artifact
        )
    return _result(work)


def _result(work: Work) -> Result:
    try:
        return load_result(work.result_file)
    except FileNotFoundError as error:
        raise RuntimeError(
            f"{work.result_file}: must be there when the work is done; received no such file; let "
            "the workers share this folder with this machine, or give --root gs://bucket/folder"
        ) from error


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
    """Where workers write what stays, and what does not; the latter is this attempt's alone."""
    attempt = uuid.uuid4().hex
    if config.runner in ("portable", "dataflow") and files.is_remote(ctx.shared):
        return ctx.shared, files.join(ctx.shared, SCRATCH, attempt)
    if config.runner == "dataflow":
        scratch_dir = files.join(str(config.dataflow.temp_location), f"tpuline-{attempt}")
        return files.join(scratch_dir, "out"), scratch_dir
    return str(ctx.workdir), str(ctx.workdir / SCRATCH / attempt)


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
        label_separator=work.source.label_separator,
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
        kept_columns=work.source.keep_columns,
    )


def _counts(counts: Mapping[str, int]) -> tuple[ReasonCount, ...]:
    return tuple(ReasonCount(reason=name, count=count) for name, count in sorted(counts.items()))


def _tell(shards: ShardSet, ctx: Context) -> None:
    counts = ", ".join(f"{split.name} {split.num_documents:,}" for split in shards.splits)
    labels = f"{len(shards.label_names)} labels; " if shards.label_names else ""
    reasons = ", ".join(f"{one.reason} {one.count:,}" for one in shards.rejected_by_reason)
    ctx.log.info(
        f"rows: {counts}; set aside {shards.num_rejected:,}{reasons and f' ({reasons})'}; {labels}"
        f"vocabulary {shards.vocabulary_size:,}"
    )
    for split in shards.splits:
        if shards.multi_label:
            ctx.log.info(f"{split.name}: {told_of_sets(split, shards.label_names)}")
        share = split.num_truncated / split.num_examples
        if share > 0.5:
            ctx.log.info(
                f"{split.name}: {share:.0%} of the texts are cut to {shards.sequence_length} "
                "tokens; preprocess.sequence_length sets it"
            )
