"""The Beam graph: source files -> spill -> repeats -> plan -> shards -> result file. One run.

Only file names and facts travel between the steps; rows stay in batches inside one step and wait
in files, so memory does not grow with the data. A bundle may be tried again: its files have names
of its own, and only files named in the facts of a bundle that succeeded are read. What a user must
mend is no exception, which runners wrap and try again, but a `problem` in the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from .. import tokenizers
from ..running import progress
from .duplicates import search as duplicate_search
from .duplicates.search import DuplicatePairs, DuplicateTask
from .facts import Plan, Portion, ShardTask, Spilled, Written, add_spilled, add_written
from .labels import known_labels
from .planning import make_plan, shard_works
from .results import Result, save_result
from .sharding.shards import ShardWork
from .spilling import Spiller
from .statistics.stored import to_json
from .statistics.sums import summarised
from .work import Work


def build(
    pipeline: beam.Pipeline, work: Work, portions: list[Portion], *, alone: bool = False
) -> None:
    """Adds the steps to `pipeline`, whatever its runner; `alone`: there is one worker only."""
    spilled = (
        pipeline
        | "Files" >> beam.Create(portions, reshuffle=False)
        | "Spread files" >> _spread(alone)
        | "Spill rows" >> beam.ParDo(SpillRows(work))
        | "Add up" >> beam.CombineGlobally(add_spilled).without_defaults()
    )
    pairs = (
        spilled
        | "Tasks" >> beam.FlatMap(_duplicate_tasks, work)
        | "Spread tasks" >> _spread(alone)
        | "Find repeats" >> beam.ParDo(FindDuplicates(work))
    )
    plan = spilled | "Plan" >> beam.Map(make_plan, beam.pvalue.AsIter(pairs), work)
    works = plan | "Works" >> beam.Map(shard_works, work)
    written = (
        plan
        | "Shards" >> beam.FlatMap(lambda plan: plan.tasks)
        | "Spread shards" >> _spread(alone)
        | "Write shards" >> beam.ParDo(WriteShards(work), beam.pvalue.AsSingleton(works))
        | "Add up shards" >> beam.CombineGlobally(add_written).without_defaults()
    )
    shards = beam.pvalue.AsSingleton(written, default_value=Written())
    _ = plan | "Save" >> beam.Map(_save, shards, work)


def _spread(alone: bool) -> beam.PTransform:
    """So that the next step is done by all workers. Costs a tenth of a second of one's own."""
    return beam.Map(lambda element: element) if alone else beam.Reshuffle()


class SpillRows(beam.DoFn):
    """Portion -> Spilled, one for the bundle: reads, redacts, cleans, splits, spills by key."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def setup(self) -> None:
        progress.speak_in(self._work.progress_dir)

    def start_bundle(self) -> None:
        self._spiller = Spiller(self._work)

    def process(self, portion: Portion) -> None:
        self._spiller.spill(portion)

    def finish_bundle(self) -> Iterator[Any]:
        yield _in_global_window(self._spiller.close())
        progress.finish()


class FindDuplicates(beam.DoFn):
    """DuplicateTask -> DuplicatePairs."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def setup(self) -> None:
        progress.speak_in(self._work.progress_dir)

    def process(self, task: DuplicateTask) -> Iterator[DuplicatePairs]:
        yield duplicate_search.find(task, self._work.scratch_dir)
        progress.tell("looking for repeats", 1)
        progress.finish()


class WriteShards(beam.DoFn):
    """ShardTask, with the ShardWork of each split beside it -> Written."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def setup(self) -> None:
        progress.speak_in(self._work.progress_dir)
        self._writers: Any = None

    def process(self, task: ShardTask, works: dict[str, ShardWork]) -> Iterator[Written]:
        if self._writers is None:
            from .writers import Writers

            self._writers = Writers(self._work)
        shard_work = works[task.split]
        yield self._writers.write(task, shard_work)
        progress.tell("shards", 1, shard_work.num_shards, note=task.split)
        progress.finish()


def _duplicate_tasks(spilled: Spilled, work: Work) -> Iterable[DuplicateTask]:
    if spilled.problems:
        return ()
    # Fingerprints know whole cells only: of several labels in them, all rows count.
    several = work.task == "multi_label"
    labels = None if several else known_labels(spilled.label_counts)
    return duplicate_search.tasks(spilled.fingerprint_files, work.duplicates, labels=labels)


def _in_global_window(value: Any) -> Any:
    from apache_beam.transforms.window import GlobalWindow
    from apache_beam.utils.windowed_value import WindowedValue

    window = GlobalWindow()
    return WindowedValue(value, window.max_timestamp(), [window])


def _save(plan: Plan, written: Written, work: Work) -> None:
    spilled = plan.spilled
    tokens: tuple[str, ...] = ()
    if plan.problem is None:
        tokens = tokenizers.tokens(work.vocabulary.type, work.vocabulary_file)
    rejects = spilled.rejects_files + tuple(
        shard.rejects for shard in written.shards if shard.rejects is not None
    )
    result = Result(
        problem=plan.problem,
        num_read=spilled.num_read,
        rejects_files=rejects,
        set_aside={split: dict(counts) for split, counts in sorted(spilled.rejected.items())},
        redacted=dict(sorted(spilled.redacted.items())),
        column_sample=spilled.column_sample,
        label_names=plan.label_names,
        duplicates=plan.duplicates,
        shards=written.shards,
        statistics={
            split: to_json(summarised(part, tokens))
            for split, part in sorted(written.statistics.items())
        },
    )
    save_result(result, work.result_file)
