"""Predictions -> how good the answers are, of one label a row or of several. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..contracts import ClassMetrics, Interval, ReferenceAccuracy, Servable, SeveralLabels
from . import metrics, several
from .predict import Predictions


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Fields of `EvalReport` of the same names."""

    accuracy: Interval
    macro_f1: Interval
    expected_calibration_error: float
    uncalibrated_error: float | None
    per_class: tuple[ClassMetrics, ...]
    confusion_matrix: tuple[tuple[int, ...], ...]
    several: SeveralLabels | None = None


def quality(
    predictions: Predictions,
    servable: Servable,
    reference: ReferenceAccuracy,
    *,
    samples: int,
    seed: int,
) -> Quality:
    """`samples` are those of the bootstrap."""
    if servable.label_separator is None:
        return _of_one(predictions, servable, samples=samples, seed=seed)
    return _of_several(predictions, servable, reference, samples=samples, seed=seed)


def _of_one(predictions: Predictions, servable: Servable, *, samples: int, seed: int) -> Quality:
    confusion = predictions.confusion_matrix()
    accuracy, macro_f1 = metrics.intervals(confusion, samples=samples, seed=seed)
    labels_N, predicted_N = predictions.labels_N, predictions.predicted_N
    probabilities_NC, temperature = predictions.probabilities_NC, servable.temperature
    before = None
    if temperature != 1.0:
        before = metrics.expected_calibration_error(
            labels_N, predicted_N, metrics.uncalibrated(probabilities_NC, temperature)
        )
    return Quality(
        accuracy=accuracy,
        macro_f1=macro_f1,
        expected_calibration_error=metrics.expected_calibration_error(
            labels_N, predicted_N, probabilities_NC
        ),
        uncalibrated_error=before,
        per_class=metrics.per_class(confusion, servable.label_names),
        confusion_matrix=tuple(tuple(row) for row in confusion.tolist()),
    )


def _of_several(
    predictions: Predictions,
    servable: Servable,
    reference: ReferenceAccuracy,
    *,
    samples: int,
    seed: int,
) -> Quality:
    labels_NC, on_NC = predictions.labels_N, predictions.predicted_N
    probabilities_NC, temperature = predictions.probabilities_NC, servable.temperature
    accuracy, macro_f1, micro_f1 = several.intervals(labels_NC, on_NC, samples=samples, seed=seed)
    per_class = several.per_class(labels_NC, on_NC, probabilities_NC, servable.label_names)
    known = [one.average_precision for one in per_class if one.average_precision is not None]
    before = None
    if temperature != 1.0:
        logits = several.uncalibrated(probabilities_NC, temperature)
        before = several.calibration_error(labels_NC, logits)
    assert reference.linear_micro_f1 is not None
    return Quality(
        accuracy=accuracy,
        macro_f1=macro_f1,
        expected_calibration_error=several.calibration_error(labels_NC, probabilities_NC),
        uncalibrated_error=before,
        per_class=per_class,
        confusion_matrix=(),
        several=SeveralLabels(
            micro_f1=micro_f1,
            label_accuracy=float((labels_NC == on_NC).mean()),
            average_precision=sum(known) / len(known) if known else 0.0,
            linear_micro_f1=reference.linear_micro_f1,
            labels_a_row=float(labels_NC.sum(axis=1).mean()),
            answered_a_row=float(on_NC.sum(axis=1).mean()),
        ),
    )
