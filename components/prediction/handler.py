"""Beam's `RunInference` on whatever export made: texts in, `Answers` out.

Beam's own handler for TensorFlow loads none of these models, as it asks Keras to.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from apache_beam.ml.inference.base import ModelHandler

from ..serving.answering import Answering, load
from .answers import Answers, Columns, answers
from .model_place import on_this_machine


class LoadedModel:
    """A model as the threads of a process share it: one asks at a time.

    Interpreters of LiteRT and requests of OpenVINO are not for two at once, and one call of any
    runtime keeps all cores busy.
    """

    def __init__(self, folder: str) -> None:
        self._lock = threading.Lock()
        with ExitStack() as stack:
            self._model: Answering = load(stack.enter_context(on_this_machine(folder)))
            self._place = stack.pop_all()  # a runtime may read its file again

    def ask(self, columns: Columns) -> Mapping[str, Any]:
        """As `Answering.texts`."""
        with self._lock:
            return self._model.texts(columns)


class TextHandler(ModelHandler[Columns, Answers, LoadedModel]):
    """An element is the columns of some rows, at least one; so is an answer. Beam loads the model
    once a process.

    Wrap it into a `KeyedModelHandler` to have something travel along.
    """

    def __init__(self, model_dir: str, *, batch_rows: int, max_elements: int = 1) -> None:
        """`max_elements`: how many Beam may hand over at once, to be answered in one go."""
        super().__init__(min_batch_size=1, max_batch_size=max_elements)
        self._model_dir, self._batch_rows = model_dir, batch_rows

    def load_model(self) -> LoadedModel:
        return LoadedModel(self._model_dir)

    def run_inference(
        self,
        batch: Sequence[Columns],
        model: LoadedModel,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[Answers]:
        together = tuple(
            [text for c in column for text in c] for column in zip(*batch, strict=True)
        )
        answered = answers(model.ask, together, max_rows=self._batch_rows)
        return list(_parted(answered, [len(columns[0]) for columns in batch]))

    def get_num_bytes(self, batch: Sequence[Columns]) -> int:
        return sum(len(text) for columns in batch for column in columns for text in column)

    def get_metrics_namespace(self) -> str:
        return "tpuline_predict"


def _parted(answered: Answers, sizes: Sequence[int]) -> Iterable[Answers]:
    """The answers of consecutive runs of rows."""
    start = 0
    for size in sizes:
        end = start + size
        yield Answers(
            labels=answered.labels[start:end],
            scores=answered.scores[start:end],
            probabilities=answered.probabilities[start:end],
            failures={
                row - start: why for row, why in answered.failures.items() if start <= row < end
            },
        )
        start = end
