"""A model that serves already -> its answers to the same rows, and how much better the new one is.

The labels of the two are matched by their names, so their order does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .. import files, paired
from ..contracts import Incumbent, ShardSet
from ..serving import answering
from ..serving.found import Found, digest, find, one_line
from ..stage import Log
from ..texts import Window
from . import metrics, several
from .predict import Predictions, by_length, inputs_of

if TYPE_CHECKING:
    import numpy as np

WHAT = "evaluate.incumbent"


def located(place: str, data_dir: Path | str) -> Found:
    """The model at `place`, relative to `data_dir`; `ValueError` when there is none."""
    path = files.join(str(data_dir), place) if not Path(place).is_absolute() else place
    if files.is_remote(place) or files.is_remote(path):
        raise ValueError(
            f"{WHAT}: must be a folder of this machine; received {place}; copy it here and give "
            "its absolute path"
        )
    return find(Path(path), what=WHAT)


def matched(labels: tuple[str, ...], shards: ShardSet) -> tuple[dict[str, int], tuple[str, ...]]:
    """Label ids of the data by the names of `labels`, and labels of the data that it lacks.

    Raises:
        ValueError: one of `labels` is none of the data, or two are the same.
    """
    known = {one_line(name): label_id for label_id, name in enumerate(shards.label_names)}
    strange = [name for name in labels if name not in known]
    if strange or len(set(labels)) < len(labels) or len(known) < len(shards.label_names):
        raise ValueError(
            f"{WHAT}: each of its labels must be one of the data, once, {', '.join(known)}; "
            f"received {', '.join(labels)}; compare with a model of the same labels, or rename "
            "with preprocess.source.label_map"
        )
    return {name: known[name] for name in labels}, tuple(
        name for name in known if name not in labels
    )


def answers(
    found: Found,
    shards: ShardSet,
    rows: Iterable[Window],
    *,
    num_examples: int,
    batch_size: int,
    progress: Callable[[int], None],
) -> np.ndarray:
    """Label ids int64 `(N,)` that it answers to every row, or bool `(N, C)`, which labels are on of
    multi-label data. Imports TensorFlow.

    Raises:
        ValueError: it takes other inputs, has other labels, or gives one that is not its own.
    """
    import numpy as np

    ids, _ = matched(found.labels, shards)
    model = answering.load(found.folder)
    if len(model.inputs) != 1 + shards.has_text_pair:
        raise ValueError(
            f"{WHAT}: must take {'pairs of texts' if shards.has_text_pair else 'single texts'}, as "
            f"the data has them; received a model of {', '.join(model.inputs)}; compare with "
            "a model for the same data"
        )
    answered_N = np.zeros(num_examples, np.int64)
    if shards.label_width is not None:
        answered_N = np.zeros((num_examples, shards.label_width), bool)
    for window in rows:
        for chosen in by_length(window, batch_size):
            outputs = model.texts(list(inputs_of(window, chosen).values()))
            _check_kind(outputs, shards)
            places = window.start + chosen
            if shards.multi_label:
                own = [ids[name] for name in found.labels]
                answered_N[places[:, None], own] = outputs[answering.LABELS_ON]
            else:
                answered_N[places] = [_label_id(name, ids) for name in outputs[answering.LABEL]]
        progress(window.start + len(window))
    return answered_N


def _check_kind(outputs: dict[str, np.ndarray], shards: ShardSet) -> None:
    several = answering.LABELS_ON in outputs
    if several != shards.multi_label:
        wanted, received = (
            ("several labels", "one") if shards.multi_label else ("one label", "several")
        )
        raise ValueError(
            f"{WHAT}: must give a row {wanted}, as the data does; received a model that gives "
            f"{received}; compare with a model of the same task, or set evaluate.incumbent to null"
        )


def _label_id(name: bytes, ids: dict[str, int]) -> int:
    label = one_line(name.decode("utf-8", errors="replace"))
    if label not in ids:
        raise ValueError(
            f"{WHAT}: must answer with labels of its own, {', '.join(ids)}; received {label!r}; "
            "its labels file belongs to another model"
        )
    return ids[label]


def compared(
    answered_N: np.ndarray,
    predictions: Predictions,
    *,
    found: Found,
    shards: ShardSet,
    samples: int,
    seed: int,
    log: Log,
) -> Incumbent:
    """What the answers of the incumbent are worth beside those of the new model."""
    labels_N, predicted_N = predictions.labels_N, predictions.predicted_N
    drawn = {"samples": samples, "seed": seed}
    micro_f1 = micro_f1_difference = None
    if shards.multi_label:
        accuracy, macro_f1, micro_f1 = several.intervals(labels_N, answered_N, **drawn)
        micro_f1_difference = several.micro_f1_difference(
            labels_N, predicted_N, answered_N, **drawn
        )
    else:
        confusion = metrics.confusion_matrix(labels_N, answered_N, len(shards.label_names))
        accuracy, macro_f1 = metrics.intervals(confusion, **drawn)
    gained, lost = paired.gained_and_lost(
        metrics.right(labels_N, predicted_N), metrics.right(labels_N, answered_N)
    )
    _, unknown = matched(found.labels, shards)
    if unknown:
        log.warning(
            f"the incumbent knows nothing of {', '.join(unknown)}: what it answers to rows of "
            "these labels counts as wrong"
        )
    return Incumbent(
        digest=digest(found.folder),
        accuracy=accuracy,
        macro_f1=macro_f1,
        gained=gained,
        lost=lost,
        difference=paired.difference(gained, lost, len(labels_N), samples=samples, seed=seed),
        p_value=paired.mcnemar(gained, lost),
        unknown_labels=unknown,
        micro_f1=micro_f1,
        micro_f1_difference=micro_f1_difference,
    )
