"""Temperature scaling."""

from __future__ import annotations

import numpy as np
import pytest

from tpuline.components.calibration import cross_entropy, fit_temperature


def rows(num_rows: int, seed: int, overconfidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits `overconfidence` times as large as those that the labels were drawn by."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(num_rows, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(3, p=share) for share in shares])
    return (overconfidence * logits).astype(np.float32), labels


@pytest.mark.parametrize("overconfidence", [0.5, 1.0, 3.0])
def test_temperature_undoes_too_much_or_too_little_certainty(overconfidence: float) -> None:
    logits, labels = rows(4000, seed=1, overconfidence=overconfidence)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(overconfidence, rel=0.1)
    assert cross_entropy(logits, labels, found) <= cross_entropy(logits, labels, 1.0)


def test_cross_entropy_is_that_of_the_softmax() -> None:
    logits = np.array([[0.0, 0.0], [1000.0, 0.0]], np.float32)
    assert cross_entropy(logits, np.array([0, 0]), 1.0) == pytest.approx(np.log(2) / 2)
