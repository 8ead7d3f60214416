"""The choice of a threshold."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

from tpuline.components.export.threshold import Rule, choose
from tpuline.components.serving import answering

SCORES = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9], np.float32)
POSITIVE = np.array([0, 0, 1, 0, 1, 0, 1, 1], bool)


def test_precision_that_is_asked_for_is_reached_with_the_most_recall() -> None:
    found = choose(Rule(label="yes", metric="precision", at_least=0.9), SCORES, POSITIVE)
    assert 0.7 < found.probability < 0.8
    assert (found.precision, found.recall) == (1.0, 0.5)


def test_recall_that_is_asked_for_is_reached_with_the_most_precision() -> None:
    found = choose(Rule(label="yes", metric="recall", at_least=1.0), SCORES, POSITIVE)
    assert 0.2 < found.probability < 0.3
    assert (found.precision, found.recall) == (4 / 6, 1.0)


def test_numbers_are_those_of_the_answers_that_the_threshold_gives() -> None:
    rng = np.random.default_rng(3)
    scores = rng.random(500).astype(np.float32)
    positive = rng.random(500) < scores
    found = choose(Rule(label="yes"), scores, positive)
    answered = answering.label_ids(np.stack([1 - scores, scores], 1), (1, found.probability)) == 1
    assert found.precision == pytest.approx(precision_score(positive, answered))
    assert found.recall == pytest.approx(recall_score(positive, answered))
    for other in np.linspace(0, 1, 21):
        hits = (positive & (scores >= other)).sum()
        assert found.f1 >= 2 * hits / (positive.sum() + (scores >= other).sum())


def test_what_no_threshold_reaches_is_refused_with_the_best_there_is() -> None:
    rule = Rule(label="yes", metric="precision", at_least=0.9)
    with pytest.raises(ValueError, match=r"^export\.threshold\.at_least: .*at most 0\.500 can"):
        choose(rule, SCORES, ~POSITIVE)


def test_label_that_no_validation_row_has_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^export\.threshold\.label: .*'yes', which none"):
        choose(Rule(label="yes"), SCORES, np.zeros(8, bool))


@pytest.mark.parametrize(
    "fields",
    [
        {"metric": "f1", "at_least": 0.5},
        {"metric": "precision"},
        {"metric": "recall", "at_least": 1.5},
    ],
)
def test_rules_that_cannot_be_meant_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"^at_least: must be .*; received .*; "):
        Rule(label="yes", **fields)
