"""The schedule of zeros, and which weights become zero."""

from __future__ import annotations

import numpy as np
import pytest

from tpuline.components.optimize.sparsity import mask, sparsity_at


def test_sparsity_rises_from_nothing_to_the_end_and_stays() -> None:
    shares = [sparsity_at(step, final_step=10, final_sparsity=0.8) for step in range(15)]
    assert shares[0] == 0.0 and shares[10:] == [0.8] * 5
    assert shares == sorted(shares)
    rises = np.diff(shares[:11])
    assert (np.diff(rises) < 0).all()  # fast at first
    assert shares[5] == pytest.approx(0.8 * (1 - 0.5**3))


def test_mask_takes_the_smallest_in_magnitude_and_keeps_the_shape() -> None:
    weight = np.array([[3.0, -0.1], [0.2, -4.0]], np.float32)
    assert (mask(weight, 0.5) == [[1, 0], [0, 1]]).all()
    assert mask(weight, 0.0).sum() == 4 and mask(weight, 1.0).sum() == 0
    assert mask(weight, 0.5).dtype == np.float32


def test_mask_of_what_is_masked_is_the_same() -> None:
    rng = np.random.default_rng(1)
    weight = rng.normal(size=(40, 30))
    first = mask(weight, 0.6)
    trained_on = weight * first * rng.uniform(0.001, 2.0, size=weight.shape)
    assert (mask(trained_on, 0.6) == first).all()
