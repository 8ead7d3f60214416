"""Metrics of rows with none, one or several labels, beside scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from tpuline.components.evaluate import incumbent, several
from tpuline.components.evaluate.metrics import right
from tpuline.components.evaluate.predict import _checked_several
from tpuline.components.evaluate.shown import Gallery
from tpuline.components.evaluate.slices import Slices, slices
from tpuline.components.texts import Window

NAMES = ("a", "b", "c", "never")
RNG = np.random.default_rng(1)
LABELS = np.hstack([RNG.random((400, 3)) < (0.5, 0.3, 0.05), np.zeros((400, 1), bool)])
PROBABILITIES = (0.6 * LABELS + 0.4 * RNG.random((400, 4)) * (1, 1, 1, 0.5)).astype(np.float32)
ON = (PROBABILITIES > 0.3) ^ (RNG.random((400, 4)) < (0.1, 0.1, 0.02, 0.0))


def test_metrics_are_those_of_scikit_learn() -> None:
    accuracy, macro, micro = several.intervals(LABELS, ON, samples=300, seed=3)
    assert accuracy.value == pytest.approx(sklearn_metrics.accuracy_score(LABELS, ON))
    of_labels = sklearn_metrics.f1_score(LABELS, ON, average=None, zero_division=np.nan)
    assert macro.value == pytest.approx(np.nanmean(of_labels))
    assert micro.value == pytest.approx(sklearn_metrics.f1_score(LABELS, ON, average="micro"))
    assert several.micro_f1(LABELS, ON) == micro.value
    for one in (accuracy, macro, micro):
        assert one.low < one.value < one.high


def test_few_rows_that_are_all_right_do_not_pass_for_certainty() -> None:
    labels = LABELS[:20]
    for found in several.intervals(labels, labels, samples=1000, seed=0):
        assert found.low < 0.97 and found.value == found.high == 1.0
    none = np.zeros((20, 4), bool)
    accuracy, _, _ = several.intervals(none, none, samples=200, seed=0)
    assert accuracy.low < 0.9 and accuracy.value == 1.0


@pytest.mark.parametrize(("missed", "num_rows"), [(0.2, 300), (0.02, 100), (0.01, 60)])
def test_interval_of_f1_covers_the_truth_19_times_of_20(missed: float, num_rows: int) -> None:
    """One label a row, so that a miss is a missed and a wrongly answered one: F1 is their rest."""
    rng = np.random.default_rng(5)
    covered = np.zeros(2)
    for seed in range(300):
        true, moved = rng.integers(0, 3, num_rows), rng.random(num_rows) < missed
        labels, on = np.eye(3, dtype=bool)[true], np.eye(3, dtype=bool)[(true + moved) % 3]
        _, *of_f1 = several.intervals(labels, on, samples=200, seed=seed)
        covered += [one.low <= 1 - missed <= one.high for one in of_f1]
    assert (covered / 300 > 0.91).all()


def test_intervals_are_those_of_drawn_rows() -> None:
    _, _, micro = several.intervals(LABELS, ON, samples=2000, seed=3)
    rng = np.random.default_rng(9)
    drawn = []
    for _ in range(2000):
        rows = rng.integers(0, 400, 400)
        drawn.append(several.micro_f1(LABELS[rows], ON[rows]))
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert (micro.low, micro.high) == pytest.approx((low, high), abs=0.004)


def test_each_label_has_its_metrics() -> None:
    found = several.per_class(LABELS, ON, PROBABILITIES, NAMES)
    assert [one.label for one in found] == list(NAMES)
    expected = sklearn_metrics.average_precision_score(LABELS[:, 1], PROBABILITIES[:, 1])
    assert found[1].average_precision == pytest.approx(expected)
    assert found[1].support == int(LABELS[:, 1].sum())
    assert (found[3].support, found[3].average_precision) == (0, None)


def test_same_answers_differ_by_nothing_and_worse_ones_by_something() -> None:
    same = several.micro_f1_difference(LABELS, ON, ON, samples=200, seed=1)
    assert same.low < same.value == 0.0 < same.high < 0.05
    worse = ON & (RNG.random(ON.shape) < 0.7)
    better = several.micro_f1_difference(LABELS, ON, worse, samples=200, seed=1)
    assert better.value == several.micro_f1(LABELS, ON) - several.micro_f1(LABELS, worse)
    assert 0 < better.low < better.value < better.high


def test_true_probabilities_are_calibrated_and_temperature_is_undone() -> None:
    truth = RNG.random((4000, 3))
    labels = RNG.random((4000, 3)) < truth
    assert several.calibration_error(labels, truth) < 0.03
    sharp = several.uncalibrated(truth, 4.0)
    assert several.calibration_error(labels, sharp) > 0.15
    np.testing.assert_allclose(several.uncalibrated(sharp, 0.25), truth, rtol=1e-6)


def test_row_is_right_when_all_of_its_labels_are() -> None:
    assert right(LABELS[:2], LABELS[:2]).tolist() == [True, True]
    assert right(np.array([[True, False]]), np.array([[True, True]])).tolist() == [False]
    assert right(np.array([1, 2]), np.array([1, 1])).tolist() == [True, False]


def test_rows_are_in_the_slice_of_each_of_their_labels() -> None:
    parts, num_small = slices(
        right(LABELS, ON),
        LABELS,
        np.arange(400),
        NAMES,
        values={},
        settings=Slices(min_rows=1),
    )
    rows = {one.value: one.num_rows for one in parts if one.column == "label"}
    none = int((~LABELS.any(axis=1)).sum())
    assert rows == {"a": LABELS[:, 0].sum(), "b": LABELS[:, 1].sum(), "c": LABELS[:, 2].sum()} | {
        "(no label)": none
    }
    assert num_small == 0


def test_error_browser_ranks_by_the_least_certain_label() -> None:
    gallery = Gallery(num_mistakes=2, num_doubts=1, label_names=("x", "y"), separator="+")
    window = Window(start=0, texts=list("abcd"), text_pairs=None, labels=[[0, 1], [], [1], [0]])
    on = np.array([[True, False], [True, False], [False, True], [True, False]])
    probabilities = np.array([[0.9, 0.4], [0.8, 0.1], [0.3, 0.6], [0.9, 0.2]], np.float32)
    gallery.add(window, on, probabilities)
    wrong = [(row.text, row.label, row.predicted, row.score) for row in gallery.mistakes]
    assert wrong == [
        ("b", "(no label)", "x", pytest.approx(0.8)),
        ("a", "x+y", "x", pytest.approx(0.6)),
    ]
    assert [(row.text, row.predicted) for row in gallery.doubts] == [("c", "y")]


@pytest.mark.parametrize(
    ("outputs", "told"),
    [
        ({}, "of another shape than"),
        ({"labels_on": np.array([[True, True]])}, "labels that the probabilities do not call for"),
        ({"labels_on": np.array([[True]])}, "of another shape than"),
    ],
)
def test_outputs_that_contradict_each_other_are_refused(outputs: dict[str, Any], told: str) -> None:
    servable: Any = type("Served", (), {"label_names": ("x", "y"), "thresholds": (0.5, 0.5)})
    given = {"label": np.array([b"x"]), "probabilities": np.array([[0.6, 0.1]], np.float32)}
    with pytest.raises(ValueError, match=rf"^servable.serving_default: .* received .*{told}"):
        _checked_several(given | outputs, servable)
    sound = given | {"labels_on": np.array([[True, False]])}
    assert _checked_several(sound, servable).tolist() == [[True, False]]


def test_incumbent_of_the_other_task_is_refused() -> None:
    shards: Any = type("Shards", (), {"multi_label": True})
    with pytest.raises(ValueError, match=r"must give a row several labels, .* gives one; "):
        incumbent._check_kind({"label": np.array([b"x"])}, shards)
    shards.multi_label = False
    with pytest.raises(ValueError, match=r"must give a row one label, .* gives several; "):
        incumbent._check_kind({"labels_on": np.array([[True]])}, shards)
