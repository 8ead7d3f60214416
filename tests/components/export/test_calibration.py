"""The fit of a temperature."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import softmax

from tpuline.components.export.calibration import LIMITS, cross_entropy, fit_temperature, is_inside


def sampled(temperature: float, num_rows: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn as if they had been divided by `temperature`."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, (num_rows, 4))
    shares = softmax(logits / temperature, axis=1)
    labels = (shares.cumsum(axis=1) < rng.random((num_rows, 1))).sum(axis=1)
    return logits, labels.clip(0, 3)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_temperature_that_drew_the_labels_is_found(temperature: float) -> None:
    logits, labels = sampled(temperature)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(temperature, rel=0.04)
    for other in (0.9, 1.1):
        assert cross_entropy(logits, labels, found) < cross_entropy(logits, labels, found * other)


def test_cross_entropy_is_that_of_the_scaled_probabilities() -> None:
    logits = np.array([[2.0, 0.0]])
    assert cross_entropy(logits, np.array([1]), 2.0) == pytest.approx(math.log(1 + math.e))


def test_labels_that_no_logit_tells_end_at_a_limit() -> None:
    logits, _ = sampled(1.0)
    contrary = logits.argmin(axis=1)
    assert not is_inside(fit_temperature(logits, contrary))
    assert is_inside(1.0) and not is_inside(LIMITS[0])
