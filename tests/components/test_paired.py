"""Two models on the same rows."""

from __future__ import annotations

import numpy as np
import pytest

from tpuline.components import paired


def test_only_rows_that_one_model_alone_has_right_count() -> None:
    right = np.array([True, True, False, False, True])
    other = np.array([True, False, True, False, False])
    assert paired.gained_and_lost(right, other) == (2, 1)


@pytest.mark.parametrize(
    ("gained", "lost", "p_value"),
    [(0, 0, 1.0), (5, 5, 1.0), (0, 5, 2 / 2**5), (1, 5, 14 / 2**6), (9, 1, 22 / 2**10)],
)
def test_p_value_is_that_of_a_fair_coin(gained: int, lost: int, p_value: float) -> None:
    assert paired.mcnemar(gained, lost) == pytest.approx(p_value)


def test_interval_of_the_difference_holds_it_and_shrinks_with_agreement() -> None:
    wide = paired.difference(60, 40, 200, samples=1000, seed=1)
    narrow = paired.difference(21, 1, 200, samples=1000, seed=1)
    assert wide.value == narrow.value == pytest.approx(0.1)
    assert wide.low < 0.02 < narrow.low < 0.1 < narrow.high < wide.high
    assert paired.difference(60, 40, 200, samples=1000, seed=1) == wide
    same = paired.difference(0, 0, 50, samples=1000, seed=1)
    assert -0.08 < same.low < -0.02 < same.value == 0.0 < 0.02 < same.high < 0.08


@pytest.mark.parametrize(("gains", "losses"), [(0.10, 0.06), (0.01, 0.001), (0.004, 0.004)])
def test_interval_covers_the_true_difference_19_times_of_20(gains: float, losses: float) -> None:
    """And not much less often where hardly a row tells the two apart."""
    rng = np.random.default_rng(3)
    covered = 0
    for seed in range(400):
        kinds = rng.choice(3, size=300, p=[gains, losses, 1 - gains - losses])
        gained, lost = int((kinds == 0).sum()), int((kinds == 1).sum())
        found = paired.difference(gained, lost, 300, samples=200, seed=seed)
        covered += found.low <= gains - losses <= found.high
    assert covered / 400 > 0.91
