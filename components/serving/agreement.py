"""When two answers to one text count as the same. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..contracts import Servable

TOLERANCE = 1e-4
"""Least tolerance of a probability between machines: their instructions sum in other orders."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """To one text."""

    label: bytes
    score: float
    probabilities: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How far probabilities may stray, and what decides about the label."""

    tolerance: float
    threshold: tuple[int, float] | None = None  # label id, and from which probability on it is it
    thresholds: tuple[float, ...] = ()  # by label id, of models that answer several


def rule_of(servable: Servable) -> Rule:
    """Of a model that is asked elsewhere than where it was exported."""
    threshold = None
    if servable.threshold is not None:
        label_id = servable.label_names.index(servable.threshold.label)
        threshold = (label_id, servable.threshold.probability)
    return Rule(
        tolerance=max(servable.parity.tolerance, TOLERANCE),
        threshold=threshold,
        thresholds=servable.thresholds,
    )


def difference(given: Answer, expected: Answer) -> float:
    """The largest of a probability; infinite where there are more or fewer."""
    if len(given.probabilities) != len(expected.probabilities):
        return float("inf")
    return max(abs(a - b) for a, b in zip(given.probabilities, expected.probabilities, strict=True))


def disagreement(given: Answer, expected: Answer, rule: Rule) -> str:
    """What is wrong with an answer; empty where nothing is.

    Another label is right where the expected one is as good as undecided.
    """
    apart = difference(given, expected)
    if not apart <= rule.tolerance:  # written so that NaN differs
        return f"a probability differs by {apart:.3g}, allowed {rule.tolerance:.3g}"
    if given.label != expected.label and not _undecided(expected.probabilities, rule):
        return f"label {_shown(given.label)}, expected {_shown(expected.label)}"
    if not min(abs(given.score - p) for p in given.probabilities) <= rule.tolerance:
        return f"score {given.score:.6g} is no probability of its label"
    return ""


def _undecided(probabilities: Sequence[float], rule: Rule) -> bool:
    if rule.threshold is not None:
        label_id, least = rule.threshold
        return abs(probabilities[label_id] - least) <= rule.tolerance
    if rule.thresholds:
        pairs = zip(probabilities, rule.thresholds, strict=True)
        return any(abs(probability - least) <= rule.tolerance for probability, least in pairs)
    best, *others = sorted(probabilities, reverse=True)
    return bool(others) and best - others[0] <= 2 * rule.tolerance


def _shown(label: bytes) -> str:
    return label.decode("utf-8", errors="backslashreplace")
