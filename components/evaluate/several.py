"""Labels on and off, and probabilities -> metrics of multi-label answers. Pure.

Shapes: `labels_NC` and `on_NC` are bool, what is true and what is answered; probabilities of the
labels do not sum to 1. Where a mean is over labels, those that occur count, as a true label or as
an answer, as in `metrics.macro_f1`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..contracts import ClassMetrics, Interval
from . import metrics

if TYPE_CHECKING:
    import numpy as np

DRAWN_AT_ONCE = 100  # bootstrap samples


def per_class(
    labels_NC: np.ndarray,
    on_NC: np.ndarray,
    probabilities_NC: np.ndarray,
    label_names: tuple[str, ...],
) -> tuple[ClassMetrics, ...]:
    """Precision, recall, F1 and average precision of each label; 0 where nothing was divided."""
    from sklearn.metrics import average_precision_score, precision_recall_fscore_support

    found = precision_recall_fscore_support(labels_NC, on_NC, average=None, zero_division=0)
    return tuple(
        ClassMetrics(
            label=name,
            precision=float(precision),
            recall=float(recall),
            f1=float(f1),
            support=int(support),
            average_precision=float(
                average_precision_score(labels_NC[:, label], probabilities_NC[:, label])
            )
            if support
            else None,
        )
        for label, (name, precision, recall, f1, support) in enumerate(
            zip(label_names, *found, strict=True)
        )
    )


def micro_f1(labels_NC: np.ndarray, on_NC: np.ndarray) -> float:
    """Of all rows and labels together; 0 where none is on."""
    return _micro_f1((labels_NC & on_NC).sum(), labels_NC.sum() + on_NC.sum())


def intervals(
    labels_NC: np.ndarray, on_NC: np.ndarray, *, samples: int, seed: int
) -> tuple[Interval, Interval, Interval]:
    """Accuracy (all labels of a row right), macro and micro F1, with 95 % intervals: see `metrics`.

    Of the rows more that F1 is drawn from one has a label that is found, one a label that is
    missed, and one a label that is only answered; each in equal parts of all labels that occur.
    """
    import numpy as np

    def values(labels: np.ndarray, on: np.ndarray, counts: np.ndarray) -> np.ndarray:
        hits_SC, marginals_SC = counts @ (labels & on), counts @ (1 * labels + on)
        f1_SC = 2 * hits_SC / np.maximum(marginals_SC, 1)
        occurs_S = np.maximum((marginals_SC > 0).sum(axis=1), 1)
        micro_S = 2 * hits_SC.sum(axis=1) / np.maximum(marginals_SC.sum(axis=1), 1)
        return np.stack([f1_SC.sum(axis=1) / occurs_S, micro_S], axis=1)

    one_KC = np.eye(labels_NC.shape[1], dtype=bool)
    occurs_C = (labels_NC | on_NC).any(axis=0)
    one_KC = one_KC[occurs_C] if occurs_C.any() else one_KC
    none_KC = np.zeros_like(one_KC)
    parts = (
        np.concatenate([labels_NC, one_KC, one_KC, none_KC]),
        np.concatenate([on_NC, one_KC, none_KC, one_KC]),
    )
    weights = np.repeat([1, 1 / len(one_KC)], [len(labels_NC), 3 * len(one_KC)])
    drawn = [values(*some) for some in _drawn(parts, weights, samples=samples, seed=seed)]
    told = values(labels_NC, on_NC, np.ones((1, len(labels_NC)), np.int64))[0]
    macro, micro = _intervals(told, np.concatenate(drawn))
    num_right = int(metrics.right(labels_NC, on_NC).sum())
    return metrics.wilson(num_right, len(labels_NC)), macro, micro


def micro_f1_difference(
    labels_NC: np.ndarray, on_NC: np.ndarray, other_NC: np.ndarray, *, samples: int, seed: int
) -> Interval:
    """Of the micro F1, first minus other, with its 95 % bootstrap interval, paired by row.

    Two rows more are drawn from, of a label that one alone has found: see `paired.difference`.
    """
    import numpy as np

    found, missed = (
        np.eye(1, labels_NC.shape[1], dtype=bool),
        np.zeros((1, labels_NC.shape[1]), bool),
    )
    parts = (
        np.concatenate([labels_NC, found, found]),
        np.concatenate([on_NC, found, missed]),
        np.concatenate([other_NC, missed, found]),
    )
    drawn = []
    weights = np.ones(len(parts[0]))
    for labels, on, other, counts in _drawn(parts, weights, samples=samples, seed=seed):
        of_each = []
        for answered in (on, other):
            found_K, named_K = (labels & answered).sum(axis=1), (1 * labels + answered).sum(axis=1)
            of_each.append(2 * (counts @ found_K) / np.maximum(counts @ named_K, 1))
        drawn.append((of_each[0] - of_each[1])[:, None])
    told = np.array([micro_f1(labels_NC, on_NC) - micro_f1(labels_NC, other_NC)])
    (difference,) = _intervals(told, np.concatenate(drawn))
    return difference


def calibration_error(labels_NC: np.ndarray, probabilities_NC: np.ndarray) -> float:
    """Mean gap between the probability of a label and how often it is there; see `metrics`."""
    import numpy as np

    of_each = probabilities_NC.reshape(-1, 1)
    return metrics.expected_calibration_error(
        labels_NC.reshape(-1), np.ones(len(of_each), np.int64), np.hstack([1 - of_each, of_each])
    )


def uncalibrated(probabilities_NC: np.ndarray, temperature: float) -> np.ndarray:
    """As `metrics.uncalibrated`, of a sigmoid for each label."""
    import numpy as np
    from scipy.special import expit, logit

    before: np.ndarray = expit(logit(probabilities_NC.astype(np.float64)) * temperature)
    return before


def certainty(on_BC: np.ndarray, probabilities_BC: np.ndarray) -> np.ndarray:
    """Of each row the probability of its least certain label, that it is as it is answered."""
    import numpy as np

    least: np.ndarray = np.where(on_BC, probabilities_BC, 1 - probabilities_BC).min(axis=1)
    return least


def _micro_f1(hits: int, marginals: int) -> float:
    return float(2 * hits / marginals) if marginals else 0.0


def _drawn(
    parts: tuple[np.ndarray, ...], weights_N: np.ndarray, *, samples: int, seed: int
) -> Iterator[tuple[np.ndarray, ...]]:
    """The K different rows of bool `(N, C)` arrays side by side, and how often each is drawn in
    some samples of as many rows as all weigh, int64 `(S, K)`: see `metrics.intervals`.
    """
    import numpy as np

    packed = np.packbits(np.concatenate(parts, axis=1), axis=1)
    _, firsts, kinds_N = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    different = [part[firsts] for part in parts]
    weights_K = np.bincount(kinds_N.ravel(), weights_N)
    num_drawn, shares_K = round(weights_K.sum()), weights_K / weights_K.sum()
    rng = np.random.default_rng(seed)
    for start in range(0, samples, DRAWN_AT_ONCE):
        size = min(DRAWN_AT_ONCE, samples - start)
        yield (*different, rng.multinomial(num_drawn, shares_K, size=size))


def _intervals(values: np.ndarray, drawn_SV: np.ndarray) -> Iterator[Interval]:
    import numpy as np

    low, high = np.percentile(drawn_SV, [2.5, 97.5], axis=0)
    for value, least, most in zip(values, low, high, strict=True):
        yield Interval(value=float(value), low=float(least), high=float(most))
