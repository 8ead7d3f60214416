"""The Beam graph: parts -> windows of rows -> answers -> shards.

Rows of a window stay together in one element, the key carries what they are known by, and a part
comes together again before it is written: answers cannot lose their row, nor shards their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference

from ..running import progress
from .answers import Answers, Columns
from .handler import TextHandler
from .parts import Part
from .shards import AnsweredWindow, answered_window, write_shard
from .windows import Window, windows
from .work import Work


def build(pipeline: beam.Pipeline, work: Work, parts: Sequence[Part], *, alone: bool) -> None:
    """Adds the steps to `pipeline`, whatever its runner; `alone`: there is one worker only."""
    handler = TextHandler(work.model_dir, batch_rows=work.batch_rows)
    spread = beam.Map(lambda part: part) if alone else beam.Reshuffle()
    _ = (
        pipeline
        | "Parts" >> beam.Create(list(parts), reshuffle=False)
        | "Spread parts" >> spread
        | "Read" >> beam.ParDo(ReadWindows(work))
        | "Answer" >> RunInference(KeyedModelHandler(handler))
        | "Join" >> beam.ParDo(JoinAnswers(work))
        | "Gather parts" >> beam.GroupByKey()
        | "Write" >> beam.ParDo(WriteShards(work, {part.index: part.shard for part in parts}))
    )


class ReadWindows(beam.DoFn):
    """Part -> (Window, its columns)."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def process(self, part: Part) -> Iterator[tuple[Window, Columns]]:
        for window in windows(self._work.source, part):
            yield window, window.columns


class JoinAnswers(beam.DoFn):
    """(Window, Answers) -> (number of the part, AnsweredWindow)."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def setup(self) -> None:
        progress.speak_in(self._work.progress_dir)

    def process(self, answered: tuple[Window, Answers]) -> Iterator[tuple[int, AnsweredWindow]]:
        window, answers = answered
        yield window.part, answered_window(window, answers, with_text=self._work.with_text)
        progress.tell("rows", len(window.rows) + len(window.rejects))

    def finish_bundle(self) -> None:
        progress.finish()


class WriteShards(beam.DoFn):
    """(number of the part, its windows) -> nothing; the marker tells."""

    def __init__(self, work: Work, shards: dict[int, str]) -> None:
        self._work, self._shards = work, shards

    def process(self, part: tuple[int, Iterable[AnsweredWindow]]) -> None:
        index, answered = part
        write_shard(
            answered, self._work.out_dir, self._shards[index], format=self._work.output_format
        )
