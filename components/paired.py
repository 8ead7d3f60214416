"""Two models on the same rows: how much better, and whether that may be chance. Pure.

Only the rows on which one is right and the other wrong tell anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .contracts import Interval

if TYPE_CHECKING:
    import numpy as np


def gained_and_lost(right_N: np.ndarray, other_right_N: np.ndarray) -> tuple[int, int]:
    """Rows that the first model alone has right, and rows that the other alone has right.

    Args:
        right_N: bool, whether the first model is right.
        other_right_N: the same of the other.
    """
    return int((right_N & ~other_right_N).sum()), int((other_right_N & ~right_N).sum())


def mcnemar(gained: int, lost: int) -> float:
    """Exact p-value, two-sided: each of such rows falls to either model like a fair coin.

    McNemar 1947, Psychometrika 12, "Note on the sampling error of the difference between
    correlated proportions"; exact as in Dietterich 1998, Neural Computation 10.
    """
    from scipy.stats import binomtest

    return 1.0 if gained + lost == 0 else float(binomtest(gained, gained + lost).pvalue)


def difference(gained: int, lost: int, num_rows: int, *, samples: int, seed: int) -> Interval:
    """Of the accuracies, first minus other, with its 95 % bootstrap interval.

    Rows drawn with replacement fall among the three kinds by a multinomial law; see
    `evaluate.metrics.intervals`. One row more counts as gained and one as lost, or few of either,
    or none, would pass for certainty: Bonett and Price 2012, Journal of Educational and Behavioral
    Statistics 37, "Adjusted Wald confidence interval for a difference of binomial proportions
    based on paired data".
    """
    import numpy as np

    num_drawn = num_rows + 2
    shares = np.array([gained + 1, lost + 1, num_rows - gained - lost]) / num_drawn
    drawn = np.random.default_rng(seed).multinomial(num_drawn, shares, size=samples)
    low, high = np.percentile((drawn[:, 0] - drawn[:, 1]) / num_drawn, [2.5, 97.5])
    return Interval(value=(gained - lost) / num_rows, low=float(low), high=float(high))
