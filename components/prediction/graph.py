"""The Beam graph: parts -> windows of rows -> answers -> shards.

Rows of a window stay together in one element, and the key carries what they are known by, so that
no answer loses its row. There is no shuffle after the parts are spread: a shard is written when its
part is answered, not when all are, so that an interrupted run keeps it. That takes runners which
hand the elements of these steps on in order, as all that are offered do; another one is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
        | "Write" >> beam.ParDo(WriteShards(work, {part.index: part.shard for part in parts}))
    )


class ReadWindows(beam.DoFn):
    """Part -> (Window, its columns)."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def process(self, part: Part) -> Iterator[tuple[Window, Columns]]:
        for window in windows(self._work.source, part):
            yield window, window.columns


class WriteShards(beam.DoFn):
    """(Window, Answers) -> nothing: the marker of each shard tells."""

    def __init__(self, work: Work, shards: dict[int, str]) -> None:
        self._work, self._shards = work, shards

    def setup(self) -> None:
        progress.speak_in(self._work.progress_dir)

    def start_bundle(self) -> None:
        self._begun: dict[int, list[AnsweredWindow]] = {}

    def process(self, answered: tuple[Window, Answers]) -> None:
        window, answers = answered
        begun = self._begun.setdefault(window.part, [])
        if window.number != len(begun):
            raise RuntimeError(_OUT_OF_ORDER)
        begun.append(answered_window(window, answers, with_text=self._work.with_text))
        progress.tell("rows", len(window.rows) + len(window.rejects))
        if window.is_last:
            shard = self._shards[window.part]
            write_shard(begun, self._work.out_dir, shard, format=self._work.output_format)
            del self._begun[window.part]

    def finish_bundle(self) -> None:
        if self._begun:
            raise RuntimeError(_OUT_OF_ORDER)
        progress.finish()


_OUT_OF_ORDER = "runner: must hand the windows of a part on in order; use in_process or processes"
