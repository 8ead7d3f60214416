"""The Beam graph: source files -> spill -> plan -> shards -> result file. Two passes, one run.

Only file names and facts travel between the steps; rows stay in batches inside one step and wait
on disk, so memory does not grow with the data. A bundle may be tried again: its files have names
of its own, and only files named in the facts of a bundle that succeeded are read. What a user must
mend is no exception, which runners wrap and try again, but a `problem` in the result.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from ..graph_tokenizer import GraphTokenizer, clean
from ..vocabulary import load_vocabulary
from . import progress, sources
from .batching import batches
from .facts import Plan, RejectsFile, ShardFacts, ShardTask, Spilled, add_spilled
from .labels import MAX_LABELS, configured_labels
from .planning import make_plan
from .rejects import write_rejects
from .results import Result, save_result
from .rows import Reject, Row, reject
from .shards import Tokens, write_shard
from .spill import SpilledRow, SpillWriter
from .splits import content_key, cut_split
from .work import Work

_STRINGS = tf.TensorSpec([None], tf.string)


def run_in_process(work: Work, files: Iterable[sources.InputFile]) -> None:
    """Both passes in this process; leaves `work.result_file`."""
    # Named, because the default looks for a runner to download; no flags, for those on the command
    # line are not Beam's.
    with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([])) as pipeline:
        build(pipeline, work, list(files))


def build(pipeline: beam.Pipeline, work: Work, files: list[sources.InputFile]) -> None:
    """Adds the steps to `pipeline`, whatever its runner."""
    plan = (
        pipeline
        | "Files" >> beam.Create(files)
        | "Spread files" >> beam.Reshuffle()
        | "Spill rows" >> beam.ParDo(SpillRows(work))
        | "Add up" >> beam.CombineGlobally(add_spilled)
        | "Plan" >> beam.Map(make_plan, work)
    )
    shards = (
        plan
        | "Shards" >> beam.FlatMap(lambda plan: plan.tasks)
        | "Spread shards" >> beam.Reshuffle()
        | "Write shards" >> beam.ParDo(WriteShards(work), beam.pvalue.AsSingleton(plan))
        | "Gather" >> beam.combiners.ToList()
    )
    _ = plan | "Save" >> beam.Map(_save, beam.pvalue.AsSingleton(shards), work)


@dataclass(kw_only=True)
class _Sums:
    """What a bundle of source files has come to so far."""

    writer: SpillWriter
    rejects_files: list[RejectsFile]
    num_read: int
    rejected: Counter[str]
    label_counts: dict[str, Counter[str]]
    problems: list[str]


class SpillRows(beam.DoFn):
    """InputFile -> Spilled, one for the bundle: reads, cleans, splits, and spills by key."""

    def __init__(self, work: Work) -> None:
        self._work = work
        names = work.source.label_names
        self._known = frozenset(configured_labels(names).ids if names else ())

    def setup(self) -> None:
        self._clean = _clean_function()

    def start_bundle(self) -> None:
        self._sums = _Sums(
            writer=SpillWriter(Path(self._work.spill_dir), self._work.num_buckets),
            rejects_files=[],
            num_read=0,
            rejected=Counter(),
            label_counts={},
            problems=[],
        )

    def process(self, file: sources.InputFile) -> None:
        rejects = self._spill(file)
        first = next(rejects, None)
        if first is not None:  # seldom: most sources need no file for it
            written = write_rejects(
                self._counted(first, rejects), Path(self._work.spill_dir), source=file.name
            )
            self._sums.rejects_files.append(written)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        sums = self._sums
        spilled = Spilled(
            spill_files=sums.writer.close(),
            rejects_files=tuple(sums.rejects_files),
            num_read=sums.num_read,
            rejected=sums.rejected,
            label_counts=sums.label_counts,
            problems=tuple(sums.problems),
        )
        window = GlobalWindow()
        yield WindowedValue(spilled, window.max_timestamp(), [window])

    def _counted(self, first: Reject, others: Iterable[Reject]) -> Iterator[Reject]:
        for rejected in itertools.chain((first,), others):
            self._sums.rejected[rejected.reason] += 1
            yield rejected

    def _spill(self, file: sources.InputFile) -> Iterator[Reject]:
        """Spills the sound rows of one file; yields the others in their order."""
        for batch in batches(self._read(file), _num_characters):
            self._sums.num_read += len(batch)
            progress.tell("reading", len(batch), note=file.name)
            rows = [row for row in batch if isinstance(row, Row)]
            cleaned = iter(self._cleaned([row.text for row in rows]))
            if self._work.has_text_pair:
                pairs = iter(self._cleaned([row.text_pair or "" for row in rows]))
            for row in batch:
                if isinstance(row, Reject):
                    yield row
                    continue
                pair = next(pairs) if self._work.has_text_pair else None
                empty = self._add(file, row, next(cleaned), pair)
                if empty is not None:
                    yield empty

    def _add(
        self, file: sources.InputFile, row: Row, cleaned: str, pair: str | None
    ) -> Reject | None:
        """Spills one row, unless nothing of it is left."""
        for name, text in (("text", cleaned), ("text pair", pair)):
            if text == "":
                return reject(row.file, row.row, "empty_text", f"nothing is left of the {name}")
        key = content_key(cleaned, pair)
        split = cut_split(key, self._work.cut) if file.split == "train" else file.split
        spilled = SpilledRow(row.label, row.text, row.text_pair, cleaned, pair, row.file, row.row)
        self._sums.writer.add(split, key, spilled)
        counts = self._sums.label_counts.setdefault(split, Counter())
        # Of a column that is no label column, only as many cells as it takes to say so.
        if row.label in counts or row.label in self._known or len(counts) <= MAX_LABELS:
            counts[row.label] += 1
        return None

    def _cleaned(self, texts: list[str]) -> list[str]:
        return [text.decode() for text in self._clean(tf.constant(texts, tf.string)).numpy()]

    def _read(self, file: sources.InputFile) -> Iterator[Row | Reject]:
        try:
            yield from sources.read(self._work.source, file)
        except ValueError as error:  # about this file: in words for the user
            self._sums.problems.append(str(error))
        except OSError as error:
            self._sums.problems.append(
                f"{file.field}: {file.name} must be readable; received {error}; mend it"
            )


class WriteShards(beam.DoFn):
    """ShardTask, with the Plan beside it -> ShardFacts."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def setup(self) -> None:
        self._tokenize: Any = None

    def process(self, task: ShardTask, plan: Plan) -> Iterator[ShardFacts]:
        work = self._work
        if self._tokenize is None:
            self._tokenize = tokenize_function(
                load_vocabulary(work.vocabulary_file),
                lowercase=work.lowercase,
                sequence_length=work.sequence_length,
                has_text_pair=work.has_text_pair,
            )
        yield write_shard(
            task,
            label_ids=plan.label_ids,
            num_labels=len(plan.label_names),
            sequence_length=work.sequence_length,
            has_text_pair=work.has_text_pair,
            tokenize=self._tokenize,
            workdir=Path(work.workdir),
            scratch=Path(work.spill_dir),
        )
        progress.tell("shards", 1, len(plan.tasks), note=task.split)


@functools.cache
def _clean_function() -> Any:
    """`clean`, compiled once a process."""
    return tf.function(clean, input_signature=[_STRINGS], autograph=False)


def tokenize_function(vocabulary: tuple[str, ...], **options: Any) -> Any:
    """Cleaned rows -> `Tokens`, through the graph tokenizer compiled once."""
    tokenizer = GraphTokenizer(vocabulary, **options)
    has_text_pair = options["has_text_pair"]

    @tf.function(input_signature=[_STRINGS] * (1 + has_text_pair), autograph=False)
    def flat(*texts: tf.Tensor) -> tuple[tf.Tensor, ...]:
        rows = tokenizer.tokenize(*texts)
        segments = (rows.segment_ids.values,) if has_text_pair else ()
        return (rows.token_ids.values, rows.token_ids.row_lengths(), rows.truncated, *segments)

    def tokenize(rows: list[SpilledRow]) -> Tokens:
        texts = [tf.constant([row.cleaned for row in rows])]
        if has_text_pair:
            texts.append(tf.constant([row.cleaned_pair for row in rows]))
        token_ids, row_lengths, truncated, *segments = (part.numpy() for part in flat(*texts))
        return Tokens(
            token_ids=token_ids,
            segment_ids=segments[0] if segments else None,
            row_lengths=row_lengths,
            truncated=truncated,
        )

    return tokenize


def _num_characters(row: Row | Reject) -> int:
    return 0 if isinstance(row, Reject) else len(row.text) + len(row.text_pair or "")


def _save(plan: Plan, shards: list[ShardFacts], work: Work) -> None:
    rejects = plan.spilled.rejects_files + tuple(
        shard.rejects for shard in shards if shard.rejects is not None
    )
    result = Result(
        problem=plan.problem,
        num_read=plan.spilled.num_read,
        rejects_files=rejects,
        label_names=plan.label_names,
        vocabulary_size=plan.vocabulary_size,
        shards=tuple(shards),
    )
    save_result(result, Path(work.result_file))
