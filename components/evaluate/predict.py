"""SavedModel and raw strings -> probabilities, answers, and the rows that are worth a look."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..contracts import Robustness, Servable, ShownRow
from ..example_spec import TEXT, TEXT_PAIR
from ..label_sets import multi_hot
from ..serving import answering
from ..texts import Window
from . import metrics
from .kept import KeptAnswers
from .perturbations import PERTURBATIONS, perturbed
from .shown import Gallery
from .slices import LANGUAGE

if TYPE_CHECKING:
    import numpy as np

ROBUSTNESS_BATCH = 64

Answer = Callable[[dict[str, list[str]]], tuple["np.ndarray", "np.ndarray"]]
"""From the string inputs of B rows to the label ids `(B,)`, or which labels are on, bool `(B, C)`,
and probabilities `(B, C)`."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The answers of a SavedModel to every row of a split, in shard order."""

    labels_N: np.ndarray  # int64, true label ids; of multi-label data bool (N, C)
    predicted_N: np.ndarray  # int64, the `label` output as an id; or bool (N, C), `labels_on`
    probabilities_NC: np.ndarray  # float32
    lengths_N: np.ndarray  # int64, characters
    mistakes: tuple[ShownRow, ...]  # the most confident first
    doubts: tuple[ShownRow, ...]  # right answers, the least confident first
    values: Mapping[str, Sequence[str]]  # of each row, by kept column or `slices.LANGUAGE`

    def confusion_matrix(self) -> np.ndarray:
        """As `metrics.confusion_matrix`."""
        num_labels = self.probabilities_NC.shape[1]
        return metrics.confusion_matrix(self.labels_N, self.predicted_N, num_labels)

    def save(self, path: Path) -> None:
        """The arrays, for comparing models row by row; no texts."""
        import numpy as np

        np.savez_compressed(
            path,
            labels=self.labels_N,
            predicted=self.predicted_N,
            probabilities=self.probabilities_NC,
        )


def served_dir(servable: Servable) -> Path:
    """Where the model lies; `ValueError` when it is not there."""
    path = Path(servable.uri) / servable.saved_model_dir
    if not path.is_dir():
        raise ValueError(
            f"servable.saved_model_dir: must be a folder with a model; received {path}, which is "
            "not there; export again"
        )
    return path


def load(servable: Servable) -> Answer:
    """The model as a function of raw texts. Imports TensorFlow."""
    model = answering.load(served_dir(servable))
    ids = {name.encode(): label_id for label_id, name in enumerate(servable.label_names)}
    rule = None
    if servable.threshold is not None:
        label_id = servable.label_names.index(servable.threshold.label)
        rule = label_id, servable.threshold.probability

    def answer(inputs: dict[str, list[str]]) -> tuple[np.ndarray, np.ndarray]:
        outputs = model.texts(list(inputs.values()))
        if servable.label_separator is not None:
            return _checked_several(outputs, servable), outputs["probabilities"]
        labels_B, probabilities_BC = outputs["label"], outputs["probabilities"]
        return _checked(labels_B, probabilities_BC, ids, rule), probabilities_BC

    return answer


def predict(
    answer: Answer,
    rows: Iterable[Window],
    *,
    num_examples: int,
    batch_size: int,
    gallery: Gallery,
    progress: Callable[[int], None],
    guess_language: bool = False,
    kept: KeptAnswers | None = None,
) -> Predictions:
    """Asks for every row. Keeps arrays, short cells and what `gallery` shows, never the texts of
    the split. `progress` is told how many rows are done. Windows that are in `kept` are not asked
    again, and the others get there.
    """
    import numpy as np

    num_labels = len(gallery.label_names)
    probabilities_NC = np.empty((num_examples, num_labels), np.float32)
    several = gallery.separator is not None
    labels_N = np.empty((num_examples, num_labels) if several else num_examples, _kind(several))
    predicted_N = np.empty_like(labels_N)
    lengths_N = np.empty(num_examples, np.int64)
    values: dict[str, list[str]] = {}
    for window in rows:
        labels_N[window.start : window.start + len(window)] = targets(window, gallery)
        lengths_N[window.start : window.start + len(window)] = _lengths(window)
        here = slice(window.start, window.start + len(window))
        found = None if kept is None else kept.of(window, predicted_N[here], probabilities_NC[here])
        if found is not None:
            predicted_N[here], probabilities_NC[here] = found
        else:
            done = window.start
            for chosen in by_length(window, batch_size):
                places = window.start + chosen
                predicted_N[places], probabilities_NC[places] = answer(inputs_of(window, chosen))
                done += len(chosen)
                progress(done)
            if kept is not None:
                kept.keep(window, predicted_N[here], probabilities_NC[here])
        gallery.add(window, predicted_N[here], probabilities_NC[here])
        for column, cells in _values(window, guess_language):
            values.setdefault(column, []).extend(map(sys.intern, cells))  # few differ
        progress(window.start + len(window))
    return Predictions(
        labels_N=labels_N,
        predicted_N=predicted_N,
        probabilities_NC=probabilities_NC,
        lengths_N=lengths_N,
        mistakes=gallery.mistakes,
        doubts=gallery.doubts,
        values=values,
    )


def _values(window: Window, guess_language: bool) -> Iterator[tuple[str, list[str]]]:
    yield from window.kept.items()
    if guess_language:
        from ..languages import language

        yield LANGUAGE, [language(text) for text in window.texts]


def robustness(
    answer: Answer,
    window: Window,
    gallery: Gallery,
    *,
    seed: int,
    progress: Callable[[int, int], None],
) -> tuple[Robustness, ...]:
    """How answers to the rows of one window change with each kind of perturbation.

    Of a pair, both texts are changed.
    """
    import numpy as np

    labels = targets(window, gallery)

    def predicted(rows: Window) -> np.ndarray:
        found = np.empty_like(labels)
        for chosen in by_length(rows, ROBUSTNESS_BATCH):
            found[chosen] = answer(inputs_of(rows, chosen))[0]
        return found

    before = predicted(window)
    made = []
    for number, kind in enumerate(PERTURBATIONS):
        progress(number, len(PERTURBATIONS))
        pairs = window.text_pairs
        changed = replace(
            window,
            texts=perturbed(kind, window.texts, seed=seed),
            text_pairs=None if pairs is None else perturbed(kind, pairs, seed=seed + 1),
        )
        after = predicted(changed)
        accuracy = float(metrics.right(labels, after).mean())
        made.append(
            Robustness(
                kind=kind,
                num_rows=len(window),
                accuracy=accuracy,
                drop=float(metrics.right(labels, before).mean()) - accuracy,
                flipped=float((~metrics.right(before, after)).mean()),
            )
        )
    progress(len(PERTURBATIONS), len(PERTURBATIONS))
    return tuple(made)


def targets(window: Window, gallery: Gallery) -> np.ndarray:
    """The labels of a window: ids int64 `(B,)`, or bool `(B, C)` of multi-label data."""
    import numpy as np

    if gallery.separator is None:
        return np.array(window.labels, np.int64)
    return multi_hot(window.labels, len(gallery.label_names))


def _kind(several: bool) -> Any:
    import numpy as np

    return bool if several else np.int64


def by_length(window: Window, batch_size: int) -> Iterator[np.ndarray]:
    """Row numbers within the window, alike lengths together: a batch pads to its longest row."""
    import numpy as np

    order = np.argsort(_lengths(window), kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def _lengths(window: Window) -> np.ndarray:
    """Characters of each row, both texts of a pair together."""
    import numpy as np

    lengths = np.array([len(text) for text in window.texts], np.int64)
    if window.text_pairs is not None:
        lengths += np.array([len(text) for text in window.text_pairs], np.int64)
    return lengths


def inputs_of(window: Window, chosen: np.ndarray) -> dict[str, list[str]]:
    """The texts of the rows `chosen`, by input."""
    inputs = {TEXT: [window.texts[row] for row in chosen]}
    if window.text_pairs is not None:
        inputs[TEXT_PAIR] = [window.text_pairs[row] for row in chosen]
    return inputs


def _checked(
    labels_B: np.ndarray,
    probabilities_BC: np.ndarray,
    ids: dict[bytes, int],
    rule: tuple[int, float] | None,
) -> np.ndarray:
    """Label ids of a batch of answers; `ValueError` when the outputs contradict each other."""
    import numpy as np

    problem: Any = None
    if probabilities_BC.shape != (len(labels_B), len(ids)):
        problem = f"probabilities of shape {probabilities_BC.shape} for {len(ids)} labels"
    elif not np.isfinite(probabilities_BC).all():
        problem = "probabilities that are not finite"
    elif unknown := set(labels_B.tolist()) - ids.keys():
        problem = f"the unknown label {sorted(unknown)[0]!r}"
    else:
        predicted_B = np.array([ids[label] for label in labels_B.tolist()])
        if (predicted_B == answering.label_ids(probabilities_BC, rule)).all():
            return predicted_B
        problem = "a label that the probabilities do not call for"
    expected = "the label of the largest one" if rule is None else "the label of its threshold"
    raise ValueError(
        "servable.serving_default: must answer with finite probabilities of its label_names and "
        f"{expected}; received {problem}; export again"
    )


def _checked_several(outputs: Mapping[str, np.ndarray], servable: Servable) -> np.ndarray:
    """Which labels are on, bool `(B, C)`; `ValueError` when the outputs contradict each other."""
    import numpy as np

    probabilities_BC, on_BC = outputs["probabilities"], outputs.get(answering.LABELS_ON)
    shape = (len(outputs["label"]), len(servable.label_names))
    problem = ""
    if on_BC is None or probabilities_BC.shape != shape or on_BC.shape != shape:
        problem = f"{answering.LABELS_ON} or probabilities of another shape than {shape}"
    elif not np.isfinite(probabilities_BC).all():
        problem = "probabilities that are not finite"
    elif (on_BC != (probabilities_BC >= np.array(servable.thresholds, np.float32))).any():
        problem = "labels that the probabilities do not call for"
    if problem or on_BC is None:
        raise ValueError(
            "servable.serving_default: must answer with finite probabilities of its label_names "
            f"and those that reach their thresholds; received {problem}; export again"
        )
    return on_BC
