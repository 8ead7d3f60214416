"""When two answers count as the same."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tpuline.components.serving.agreement import Answer, Rule, difference, disagreement


def answer(label: str, *probabilities: float, score: float | None = None) -> Answer:
    return Answer(
        label=label.encode(),
        score=max(probabilities) if score is None else score,
        probabilities=probabilities,
        labels_on=[name in label.split("|") for name in "abc"],  # of SEVERAL; others do not ask
    )


EXACT = Rule(tolerance=1e-4)
SPAM = Rule(tolerance=1e-4, threshold=(1, 0.3))  # ham, spam
SEVERAL = Rule(
    tolerance=1e-4, thresholds=(0.5, 0.3, 0.2), label_names=("a", "b", "c"), label_separator="|"
)


@pytest.mark.parametrize(
    ("given", "expected", "rule"),
    [
        (answer("a", 0.7, 0.3), answer("a", 0.70005, 0.29995), EXACT),
        (answer("b", 0.5, 0.5), answer("a", 0.50005, 0.49995), EXACT),  # as good as undecided
        (answer("spam", 0.6, 0.4, score=0.4), answer("spam", 0.6, 0.4, score=0.40005), SPAM),
        (answer("ham", 0.70002, 0.29998), answer("spam", 0.69998, 0.30002, score=0.3), SPAM),
        (answer("a|b", 0.6, 0.30002, 0.1), answer("a", 0.6, 0.29998, 0.1), SEVERAL),
        (answer("", 0.49999, 0.1, 0.1), answer("a", 0.50001, 0.1, 0.1), SEVERAL),
    ],
)
def test_same_answers_agree(given: Answer, expected: Answer, rule: Rule) -> None:
    assert disagreement(given, expected, rule) == ""


@pytest.mark.parametrize(
    ("given", "expected", "rule", "told"),
    [
        (answer("a", 0.7, 0.3), answer("a", 0.8, 0.2), EXACT, "differs by 0.1"),
        (answer("a", math.nan, 0.3), answer("a", 0.8, 0.2), EXACT, "differs by nan"),
        (answer("a", 0.7, 0.2, 0.1), answer("a", 0.7, 0.3), EXACT, "differs by inf"),
        (answer("b", 0.7, 0.3), answer("a", 0.7, 0.3), EXACT, "label b, expected a"),
        (answer("ham", 0.6, 0.4), answer("spam", 0.6, 0.4), SPAM, "label ham, expected spam"),
        (answer("ham", 0.5, 0.5), answer("spam", 0.5, 0.5), SPAM, "label ham, expected spam"),
        (answer("a", 0.7, 0.3, score=0.9), answer("a", 0.7, 0.3), EXACT, "score 0.9"),
        (answer("a", 0.7, 0.3, score=math.nan), answer("a", 0.7, 0.3), EXACT, "score nan"),
        # The probability of another label is none of this one, whatever decides about the label.
        (answer("a", 0.7, 0.3, score=0.3), answer("a", 0.7, 0.3), EXACT, "score 0.3, expected 0.7"),
        (
            answer("spam", 0.6, 0.4, score=0.6),
            answer("spam", 0.6, 0.4, score=0.4),
            SPAM,
            "score 0.6, expected 0.4",
        ),
        (
            answer("ham", 0.70002, 0.29998, score=0.5),
            answer("spam", 0.69998, 0.30002, score=0.3),
            SPAM,
            "score 0.5 is no probability of its label",
        ),
        (
            answer("a|b", 0.6, 0.4, 0.1, score=0.4),
            answer("a|b", 0.6, 0.4, 0.1),
            SEVERAL,
            "score 0.4, expected 0.6",
        ),
        (
            answer("a|b", 0.6, 0.30002, 0.1, score=0.1),
            answer("a", 0.6, 0.29998, 0.1),
            SEVERAL,
            "score 0.1, expected 0.6",
        ),
        (answer("a", 0.6, 0.4, 0.1), answer("a|b", 0.6, 0.4, 0.1), SEVERAL, "expected a|b"),
        # One label in doubt excuses none of the others, nor names and orders of one's own.
        (answer("b|c", 0.6, 0.3, 0.1), answer("a|b", 0.6, 0.3, 0.1), SEVERAL, "expected a|b"),
        (answer("b|a", 0.6, 0.3, 0.1), answer("a|b", 0.6, 0.3, 0.1), SEVERAL, "expected a|b"),
        (answer("a|x", 0.6, 0.3, 0.1), answer("a|b", 0.6, 0.3, 0.1), SEVERAL, "expected a|b"),
        (answer("a,b", 0.6, 0.3, 0.1), answer("a|b", 0.6, 0.3, 0.1), SEVERAL, "expected a|b"),
    ],
)
def test_other_answers_do_not(given: Answer, expected: Answer, rule: Rule, told: str) -> None:
    assert told in disagreement(given, expected, rule)


@pytest.mark.parametrize(
    ("labels_on", "told"),
    [
        (None, "labels_on must tell of 3 labels, and tells of none"),
        ([True, True], "labels_on must tell of 3 labels, and tells of 2"),
        ([True, False, False], "labels_on are 'a', but the label says 'a|b'"),
        ([True, True, True], "labels_on are 'a|b|c', but the label says 'a|b'"),
    ],
)
def test_labels_that_are_on_are_those_named(labels_on: list[bool] | None, told: str) -> None:
    expected = answer("a|b", 0.6, 0.4, 0.1)
    given = replace(expected, labels_on=labels_on)
    assert disagreement(expected, expected, SEVERAL) == ""
    assert disagreement(given, expected, SEVERAL) == told


def test_difference_is_the_largest_of_all_probabilities() -> None:
    assert difference(answer("a", 0.5, 0.3, 0.2), answer("a", 0.5, 0.2, 0.3)) == pytest.approx(0.1)
