"""Label ids and probabilities -> metrics. Pure.

Shapes: `labels_N` and `predicted_N` are integer ids, `probabilities_NC` sums to 1 along C.
`confusion_CC[true, predicted]` counts rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..contracts import ClassMetrics, Interval

if TYPE_CHECKING:
    import numpy as np


def right(labels_N: np.ndarray, predicted_N: np.ndarray) -> np.ndarray:
    """Which answers are right, bool `(N,)`; of labels bool `(N, C)`: where all of a row are."""
    import numpy as np

    same: np.ndarray = labels_N == predicted_N
    return same if same.ndim == 1 else np.asarray(same.all(axis=1))


def confusion_matrix(labels_N: np.ndarray, predicted_N: np.ndarray, num_labels: int) -> np.ndarray:
    """int64 `(C, C)`, row = true label, column = answer."""
    import numpy as np
    from sklearn import metrics

    counts_CC = metrics.confusion_matrix(labels_N, predicted_N, labels=np.arange(num_labels))
    return np.asarray(counts_CC, np.int64)


def accuracy(confusion_CC: np.ndarray) -> float:
    """Share of the rows that lie on the diagonal."""
    return float(confusion_CC.trace() / confusion_CC.sum())


def per_class(confusion_CC: np.ndarray, label_names: tuple[str, ...]) -> tuple[ClassMetrics, ...]:
    """Precision, recall and F1 of each label; 0 where nothing was to be divided."""
    import numpy as np
    from sklearn.metrics import precision_recall_fscore_support

    true_K, predicted_K = np.nonzero(confusion_CC)
    precision_C, recall_C, f1_C, support_C = precision_recall_fscore_support(
        true_K,
        predicted_K,
        labels=np.arange(len(label_names)),
        sample_weight=confusion_CC[true_K, predicted_K],
        zero_division=0,
    )
    return tuple(
        ClassMetrics(
            label=name,
            precision=float(precision_C[label]),
            recall=float(recall_C[label]),
            f1=float(f1_C[label]),
            support=int(support_C[label]),
        )
        for label, name in enumerate(label_names)
    )


def macro_f1(confusion_CC: np.ndarray) -> float:
    """Mean F1 of the labels that occur, as a true label or as an answer.

    F1 of a label that does neither is undefined: it is left out, as scikit-learn does when it is
    not told the labels.
    """
    return _macro_f1(confusion_CC.diagonal(), confusion_CC.sum(axis=1) + confusion_CC.sum(axis=0))


def _macro_f1(hits_C: np.ndarray, marginals_C: np.ndarray) -> float:
    """From true positives and, per label, number of true rows plus number of answers."""
    occurs_C = marginals_C > 0
    return float((2.0 * hits_C[occurs_C] / marginals_C[occurs_C]).mean())


def bootstrap(confusion_CC: np.ndarray, *, samples: int, seed: int) -> tuple[Interval, Interval]:
    """Accuracy and macro-F1, each with its 95 % percentile interval.

    Both depend on the rows only through the confusion matrix, and rows drawn with replacement fall
    into its cells by a multinomial law: drawing the cells is the same bootstrap (Efron 1979) at
    a cost that does not grow with the number of rows.
    """
    import numpy as np

    num_labels, total = len(confusion_CC), int(confusion_CC.sum())
    true_K, predicted_K = np.nonzero(confusion_CC)
    shares_K = confusion_CC[true_K, predicted_K] / total
    correct_K = true_K == predicted_K
    rng = np.random.default_rng(seed)
    drawn = np.empty((samples, 2))
    for sample in drawn:
        counts_K = rng.multinomial(total, shares_K)
        hits_C = np.bincount(true_K, counts_K * correct_K, num_labels)
        marginals_C = np.bincount(true_K, counts_K, num_labels)
        marginals_C += np.bincount(predicted_K, counts_K, num_labels)
        sample[:] = hits_C.sum() / total, _macro_f1(hits_C, marginals_C)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    values = accuracy(confusion_CC), macro_f1(confusion_CC)
    first, second = (
        Interval(value=value, low=float(low[i]), high=float(high[i]))
        for i, value in enumerate(values)
    )
    return first, second


def expected_calibration_error(
    labels_N: np.ndarray,
    predicted_N: np.ndarray,
    probabilities_NC: np.ndarray,
    *,
    num_bins: int = 15,
) -> float:
    """Mean gap between confidence and accuracy over equal-width bins `(low, high]` of confidence.

    Equation 3 of Guo et al. 2017, https://arxiv.org/abs/1706.04599; bins weigh by their rows.
    """
    import numpy as np

    confidence_N = probabilities_NC[np.arange(len(predicted_N)), predicted_N].astype(np.float64)
    bins_N = np.clip(np.ceil(confidence_N * num_bins) - 1, 0, num_bins - 1).astype(np.int64)
    surplus_N = confidence_N - (labels_N == predicted_N)
    return float(np.abs(np.bincount(bins_N, surplus_N, num_bins)).sum() / len(predicted_N))


def uncalibrated(probabilities_NC: np.ndarray, temperature: float) -> np.ndarray:
    """What the probabilities were without the temperature that their logits were divided by.

    Logits are known up to a sum from the logarithm of the probabilities; those that are 0 stay so.
    """
    import numpy as np
    from scipy.special import softmax

    with np.errstate(divide="ignore"):
        logits_NC = np.log(probabilities_NC.astype(np.float64)) * temperature
    before: np.ndarray = softmax(logits_NC, axis=1)
    return before
