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


def wilson(hits: int, num_rows: int) -> Interval:
    """A share with its 95 % interval, which holds for few rows too, and for none or all of them.

    Wilson 1927, Journal of the American Statistical Association 22, "Probable inference, the law
    of succession, and statistical inference".
    """
    from scipy.stats import binomtest

    bounds = binomtest(hits, num_rows).proportion_ci(method="wilson")
    return Interval(value=hits / num_rows, low=float(bounds.low), high=float(bounds.high))


def intervals(confusion_CC: np.ndarray, *, samples: int, seed: int) -> tuple[Interval, Interval]:
    """Accuracy with Wilson's interval, and macro-F1 with its 95 % percentile bootstrap interval.

    F1 depends on the rows only through the confusion matrix, and rows drawn with replacement fall
    into its cells by a multinomial law: drawing the cells is the same bootstrap (Efron 1979) at
    a cost that does not grow with the number of rows. One row more counts as right and one as
    wrong, as in `paired.difference`, or a model without a mistake in few rows would pass for one
    that makes none.
    """
    import numpy as np

    num_labels, total = len(confusion_CC), int(confusion_CC.sum()) + 2
    drawn_from_CC = confusion_CC + _two_rows(confusion_CC)
    true_K, predicted_K = np.nonzero(drawn_from_CC)
    shares_K = drawn_from_CC[true_K, predicted_K] / total
    correct_K = true_K == predicted_K
    rng = np.random.default_rng(seed)
    drawn = np.empty(samples)
    for sample in range(samples):
        counts_K = rng.multinomial(total, shares_K)
        hits_C = np.bincount(true_K, counts_K * correct_K, num_labels)
        marginals_C = np.bincount(true_K, counts_K, num_labels)
        marginals_C += np.bincount(predicted_K, counts_K, num_labels)
        drawn[sample] = _macro_f1(hits_C, marginals_C)
    low, high = np.percentile(drawn, [2.5, 97.5])
    found = Interval(value=macro_f1(confusion_CC), low=float(low), high=float(high))
    return wilson(int(confusion_CC.trace()), total - 2), found


def _two_rows(confusion_CC: np.ndarray) -> np.ndarray:
    """One right and one wrong, each in equal parts of all labels that occur; of all, where there is
    but one."""
    import numpy as np

    occurs_C = confusion_CC.sum(axis=1) + confusion_CC.sum(axis=0) > 0
    if occurs_C.sum() == 1:
        occurs_C = np.ones_like(occurs_C)
    right_CC = np.diag(occurs_C)
    wrong_CC = np.outer(occurs_C, occurs_C) & ~right_CC
    two: np.ndarray = right_CC / right_CC.sum() + wrong_CC / wrong_CC.sum()
    return two


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
