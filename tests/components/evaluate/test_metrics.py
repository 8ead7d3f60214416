"""Metrics: hand-worked cases, scikit-learn, and the bootstrap by drawing rows."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest

from tpuline.components.evaluate import metrics

NAMES = ("a", "b", "c")


def random_case(num_rows: int, num_labels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_labels, num_rows)
    predicted = np.where(rng.random(num_rows) < 0.8, labels, rng.integers(0, num_labels, num_rows))
    return labels, predicted


def test_confusion_matrix_has_true_labels_in_rows():
    matrix = metrics.confusion_matrix(np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1]), 3)
    assert matrix.tolist() == [[1, 2, 0], [0, 1, 0], [0, 0, 0]]


def test_metrics_of_a_case_worked_by_hand():
    # a: 2 rows, both found. b: 2 rows, one taken for a. c: never occurs, never answered.
    matrix = metrics.confusion_matrix(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]), 3)
    a, b, c = metrics.per_class(matrix, NAMES)
    assert (a.precision, a.recall, a.f1, a.support) == pytest.approx((2 / 3, 1.0, 0.8, 2))
    assert (b.precision, b.recall, b.f1, b.support) == pytest.approx((1.0, 0.5, 2 / 3, 2))
    assert (c.precision, c.recall, c.f1, c.support) == (0.0, 0.0, 0.0, 0)
    assert metrics.accuracy(matrix) == 0.75
    assert metrics.macro_f1(matrix) == pytest.approx((0.8 + 2 / 3) / 2)


@pytest.mark.parametrize("num_labels", [2, 5, 77])
def test_metrics_agree_with_scikit_learn(num_labels: int):
    from sklearn import metrics as theirs

    labels, predicted = random_case(400, num_labels, seed=num_labels)
    labels[labels == 1] = 0  # a label that no row has, though it is answered
    matrix = metrics.confusion_matrix(labels, predicted, num_labels)
    ids = list(range(num_labels))
    pairs = Counter(zip(labels.tolist(), predicted.tolist(), strict=True))
    assert matrix.tolist() == [[pairs[true, answer] for answer in ids] for true in ids]
    assert metrics.accuracy(matrix) == pytest.approx(theirs.accuracy_score(labels, predicted))
    assert metrics.macro_f1(matrix) == pytest.approx(
        theirs.f1_score(labels, predicted, average="macro", zero_division=0)
    )
    columns = theirs.precision_recall_fscore_support(labels, predicted, labels=ids, zero_division=0)
    ours = metrics.per_class(matrix, tuple(map(str, ids)))
    for name, column in zip(("precision", "recall", "f1", "support"), columns, strict=True):
        assert [getattr(row, name) for row in ours] == pytest.approx(list(column))


def test_intervals_are_those_of_drawing_rows():
    labels, predicted = random_case(300, 3, seed=0)
    matrix = metrics.confusion_matrix(labels, predicted, 3)
    accuracy, macro_f1 = metrics.intervals(matrix, samples=4000, seed=1)

    rng = np.random.default_rng(2)
    drawn = []
    for _ in range(4000):
        rows = rng.integers(0, 300, 300)
        again = metrics.confusion_matrix(labels[rows], predicted[rows], 3)
        drawn.append((metrics.accuracy(again), metrics.macro_f1(again)))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    assert (accuracy.low, accuracy.high) == pytest.approx((low[0], high[0]), abs=0.006)
    assert (macro_f1.low, macro_f1.high) == pytest.approx((low[1], high[1]), abs=0.006)
    assert accuracy.low < accuracy.value == metrics.accuracy(matrix) < accuracy.high
    assert macro_f1.low < macro_f1.value == metrics.macro_f1(matrix) < macro_f1.high


def test_interval_of_a_share_stays_on_the_scale():
    sure = metrics.wilson(30, 30)
    assert (sure.value, sure.high) == (1.0, 1.0) and 0.8 < sure.low < 1.0
    half = metrics.wilson(50, 100)
    assert (half.low, half.high) == pytest.approx((0.404, 0.596), abs=0.001)


@pytest.mark.parametrize(("rate", "num_rows"), [(0.8, 500), (0.95, 100), (0.99, 100), (0.98, 40)])
def test_intervals_cover_the_truth_19_times_of_20(rate: float, num_rows: int):
    """And not much less often where hardly a row is answered wrongly."""
    rng = np.random.default_rng(3)
    shares = np.array([[rate, 1 - rate], [1 - rate, rate]]) / 2
    covered = np.zeros(2)
    for seed in range(400):
        matrix = rng.multinomial(num_rows, shares.ravel()).reshape(2, 2)
        found = metrics.intervals(matrix, samples=200, seed=seed)
        # Both labels are alike, so that their true F1 is the rate of right answers.
        covered += [one.low <= rate <= one.high for one in found]
    assert (covered / 400 > 0.91).all()


@pytest.mark.parametrize("right", [True, False])
def test_few_rows_that_are_all_alike_do_not_pass_for_certainty(right: bool):
    matrix = np.diag([8, 7, 5]) if right else np.roll(np.diag([8, 7, 5]), 1, axis=1)
    value = float(right)
    for found in metrics.intervals(matrix, samples=1000, seed=0):
        assert found.low <= value == found.value <= found.high
        assert 0.1 < found.high - found.low < 0.3


def test_bootstrap_depends_on_nothing_but_its_seed():
    matrix = metrics.confusion_matrix(*random_case(500, 4, seed=5), 4)
    first = metrics.intervals(matrix, samples=200, seed=11)
    assert metrics.intervals(matrix, samples=200, seed=11) == first
    assert metrics.intervals(matrix, samples=200, seed=12) != first


def test_bootstrap_survives_labels_that_a_sample_misses():
    matrix = np.array([[50, 0, 0], [0, 1, 0], [0, 0, 0]])
    _, macro_f1 = metrics.intervals(matrix, samples=200, seed=0)
    assert macro_f1.low < 0.9 and macro_f1.value == macro_f1.high == 1.0


def test_one_label_alone_has_an_interval_too():
    _, macro_f1 = metrics.intervals(np.diag([20, 0]), samples=500, seed=0)
    assert macro_f1.low < 0.9 and macro_f1.value == macro_f1.high == 1.0


def test_bootstrap_of_25000_rows_takes_less_than_2_seconds():
    matrix = metrics.confusion_matrix(*random_case(25_000, 77, seed=6), 77)
    started = time.process_time()
    metrics.intervals(matrix, samples=1000, seed=0)
    assert time.process_time() - started < 2


def test_calibration_error_of_a_case_worked_by_hand():
    # Bin (0.6, 0.667]: confidence 0.65 twice, one right. Bin (0.933, 1]: confidence 1.0, right;
    # 0.95, wrong. Gaps: |0.65 - 0.5| and |0.975 - 0.5|, two rows of four each.
    probabilities = np.array([[0.65, 0.35], [0.35, 0.65], [1.0, 0.0], [0.05, 0.95]])
    error = metrics.expected_calibration_error(
        np.array([0, 0, 0, 0]), np.array([0, 1, 0, 1]), probabilities
    )
    assert error == pytest.approx(0.5 * 0.15 + 0.5 * 0.475)


def test_calibration_error_of_honest_confidence_is_near_zero():
    rng = np.random.default_rng(8)
    confidence = rng.uniform(0.5, 1.0, 50_000)
    labels = (rng.random(50_000) > confidence).astype(int)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    error = metrics.expected_calibration_error(labels, np.zeros(50_000, int), probabilities)
    assert error < 0.01


def test_a_bin_of_calibration_holds_its_upper_edge():
    # With two bins 0.5 belongs to the lower one: |0.5 - 0| / 2 and |0.75 - 1| / 2.
    probabilities = np.array([[0.5, 0.5], [0.75, 0.25]])
    error = metrics.expected_calibration_error(
        np.array([1, 0]), np.array([0, 0]), probabilities, num_bins=2
    )
    assert error == pytest.approx(0.25 + 0.125)


def test_probabilities_are_those_of_the_logits_before_a_temperature():
    from scipy.special import softmax

    logits = np.array([[3.0, -1.0, 0.5], [-200.0, 200.0, 0.0]])
    scaled = softmax(logits / 2.5, axis=1).astype(np.float32)
    before = metrics.uncalibrated(scaled, 2.5)
    assert before == pytest.approx(softmax(logits, axis=1), abs=1e-6)
