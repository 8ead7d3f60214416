"""Logits and labels -> the temperature under which stated certainty is closest to the truth. Pure.

Guo et al. 2017, "On Calibration of Modern Neural Networks" (https://arxiv.org/abs/1706.04599),
section 4.2: logits are divided by one number, so no answer changes, only how sure it is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

LIMITS = (0.05, 20.0)
"""Temperatures beyond say that the logits are of no use, not how to scale them."""


def fit_temperature(logits_NC: np.ndarray, labels_N: np.ndarray) -> float:
    """The temperature of least cross entropy within `LIMITS`.

    Cross entropy is convex in its inverse, so it has one minimum on a logarithmic scale, too.
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda exponent: cross_entropy(logits_NC, labels_N, math.exp(exponent)),
        bounds=[math.log(limit) for limit in LIMITS],
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(math.exp(found.x))


def cross_entropy(logits_NC: np.ndarray, labels_N: np.ndarray, temperature: float) -> float:
    """Mean over the rows, in nats; of labels `(N, C)`, 1 and 0, the binary one over all of them."""
    import numpy as np
    from scipy.special import logsumexp

    scaled_NC = logits_NC.astype(np.float64) / temperature
    if labels_N.ndim == 2:
        return float((np.logaddexp(0.0, scaled_NC) - labels_N * scaled_NC).mean())
    right_N = scaled_NC[np.arange(len(labels_N)), labels_N]
    return float((logsumexp(scaled_NC, axis=1) - right_N).mean())


def is_inside(temperature: float) -> bool:
    """Whether it lies clearly within `LIMITS`."""
    low, high = LIMITS
    return 1.01 * low < temperature < high / 1.01
