"""How sparse after which step, and which weights are the smallest. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def sparsity_at(step: int, *, final_step: int, final_sparsity: float) -> float:
    """Share of zeros after `step` steps: fast at first, slower towards the end.

    Equation 1 of Zhu and Gupta 2017 (https://arxiv.org/abs/1710.01878), from 0 at step 0.
    """
    left = 1 - min(step / final_step, 1.0)
    return float(final_sparsity * (1 - left**3))


def mask(weight: np.ndarray, sparsity: float) -> np.ndarray:
    """1 and 0 of the weight's shape and dtype: 0 at the `sparsity` smallest in magnitude.

    Of equal ones, the earlier go first; so zeros that are there stay zeros.
    """
    import numpy as np

    num_zeros = round(sparsity * weight.size)
    smallest = np.argsort(np.abs(weight), axis=None, kind="stable")[:num_zeros]
    kept = np.ones(weight.size, weight.dtype)
    kept[smallest] = 0
    return kept.reshape(weight.shape)
