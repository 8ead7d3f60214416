"""Probabilities of a label -> the probability from which it is answered. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..contracts import Threshold

if TYPE_CHECKING:
    import numpy as np

Metric = Literal["f1", "precision", "recall"]

OTHER: dict[Metric, Metric] = {"precision": "recall", "recall": "precision"}
"""Of one that must reach `at_least`: what is then made as large as it can be."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What the threshold of a model with two labels is chosen for, on the validation rows, or those
    of all labels of a multi-label model.
    """

    # Of two: answered from the threshold on, else the other is; null: each of multi-label data
    label: str | None = None
    metric: Metric = "f1"  # of that label; f1: the largest there is
    at_least: float | None = None  # for precision and recall; the other is then the largest

    def __post_init__(self) -> None:
        if self.metric == "f1" and self.at_least is not None:
            raise ValueError(
                "at_least: must be null for metric f1, of which the largest is taken; received "
                f"{self.at_least}; leave it out, or take precision or recall"
            )
        if self.metric != "f1" and (self.at_least is None or not 0 < self.at_least <= 1):
            raise ValueError(
                f"at_least: must be above 0 and at most 1 for metric {self.metric}; received "
                f"{self.at_least}; e.g. 0.9"
            )


def check_label(rule: Rule | None, *, multi_label: bool) -> None:
    """`ValueError` for one that names a label of multi-label data, or of other data names none."""
    if rule is None or (rule.label is None) == multi_label:
        return
    raise ValueError(
        "export.threshold.label: must be one of the two labels, and null for task multi_label, "
        f"where each label has a threshold; received {rule.label!r}; "
        f"{'leave it out' if multi_label else 'name the label that is answered from it on'}"
    )


def choose(rule: Rule, scores_N: np.ndarray, positive_N: np.ndarray) -> Threshold:
    """The threshold of least probability among those that fit `rule` best.

    Args:
        rule: with the label.
        scores_N: float32, probability of `rule.label`.
        positive_N: bool, whether that is the true label.

    Raises:
        ValueError: no row has the label, or no threshold reaches what is asked for.
    """
    import numpy as np
    from sklearn.metrics import precision_recall_curve

    assert rule.label is not None
    if not positive_N.any():
        raise ValueError(
            f"export.threshold.label: must occur among the validation rows; received {rule.label!r}"
            ", which none of them has; give validation a source of its own, or take the other label"
        )
    precision_T, recall_T, scores_T = precision_recall_curve(positive_N, scores_N)
    precision_T, recall_T = precision_T[:-1], recall_T[:-1]  # the last is of no threshold
    sums_T = np.maximum(precision_T + recall_T, np.finfo(float).tiny)
    found = {
        "precision": precision_T,
        "recall": recall_T,
        "f1": 2 * precision_T * recall_T / sums_T,
    }
    wanted_T = found["f1"]
    if rule.metric != "f1":
        reached_T = found[rule.metric] >= rule.at_least
        if not reached_T.any():
            raise ValueError(
                f"export.threshold.at_least: some threshold must reach it on the validation rows; "
                f"received {rule.at_least} for the {rule.metric} of {rule.label!r}, of which at "
                f"most {found[rule.metric].max():.3f} can be had; lower it"
            )
        wanted_T = np.where(reached_T, found[OTHER[rule.metric]], -1.0)
    best = int(wanted_T.argmax())
    return Threshold(
        label=rule.label,
        probability=_between(scores_T, best),
        precision=float(precision_T[best]),
        recall=float(recall_T[best]),
        f1=float(found["f1"][best]),
        num_rows=len(scores_N),
    )


def _between(scores_T: np.ndarray, index: int) -> float:
    """Halfway to the next smaller score: rounding elsewhere must not move a row to the other side.

    The validation rows get the same answers as from the score itself.
    """
    import numpy as np

    score = np.float32(scores_T[index])
    below = np.float32(scores_T[index - 1]) if index else np.float32(0)
    middle = np.float32((float(score) + float(below)) / 2)
    return float(middle if below < middle <= score else score)
