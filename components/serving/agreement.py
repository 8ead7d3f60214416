"""When two answers to one text count as the same. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..contracts import Servable
from .found import one_line

TOLERANCE = 1e-4
"""Least tolerance of a probability between machines: their instructions sum in other orders."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """To one text."""

    label: bytes
    score: float
    probabilities: Sequence[float]
    labels_on: Sequence[bool] | None = None  # of models that answer several labels


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How far probabilities may stray, and what decides about the label."""

    tolerance: float
    threshold: tuple[int, float] | None = None  # label id, and from which probability on it is it
    thresholds: tuple[float, ...] = ()  # by label id, of models that answer several
    label_names: tuple[str, ...] = ()
    label_separator: str | None = None  # between the names in a label; of these models only


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
        label_names=servable.label_names,
        label_separator=servable.label_separator,
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
    if given.label != expected.label and not _may_be(given.label, expected.probabilities, rule):
        return f"label {_shown(given.label)}, expected {_shown(expected.label)}"
    if rule.label_separator is not None and (
        problem := _of_labels_on(given, rule.label_names, rule.label_separator)
    ):
        return problem
    return _of_score(given, expected, rule)


def _of_labels_on(given: Answer, label_names: Sequence[str], separator: str) -> str:
    """What is wrong with them: they are the labels that are named, which are right already."""
    on = given.labels_on
    if on is None or len(on) != len(label_names):
        has = "none" if on is None else f"{len(on)}"
        return f"labels_on must tell of {len(label_names)} labels, and tells of {has}"
    named = separator.join(name for name, is_on in zip(label_names, on, strict=True) if is_on)
    if one_line(named) != one_line(_shown(given.label)):  # files of labels hold one a line
        return f"labels_on are {named!a}, but the label says {_shown(given.label)!a}"
    return ""


def _of_score(given: Answer, expected: Answer, rule: Rule) -> str:
    """What is wrong with the score: it is the expected one, but for another label, whose
    probability it is. Of several labels it is the largest, whichever are on."""
    if given.label == expected.label or rule.label_separator is not None:
        if not abs(given.score - expected.score) <= rule.tolerance:
            return f"score {given.score:.6g}, expected {expected.score:.6g}"
    elif not min(abs(given.score - p) for p in given.probabilities) <= rule.tolerance:
        return f"score {given.score:.6g} is no probability of its label"
    return ""


def _may_be(label: bytes, probabilities: Sequence[float], rule: Rule) -> bool:
    """Whether a label other than the expected one is right, as the probabilities leave it open."""
    if rule.label_separator is not None:
        return _may_be_on(label, probabilities, rule, rule.label_separator)
    if rule.threshold is not None:
        label_id, least = rule.threshold
        return abs(probabilities[label_id] - least) <= rule.tolerance
    best, *others = sorted(probabilities, reverse=True)
    return bool(others) and best - others[0] <= 2 * rule.tolerance


def _may_be_on(label: bytes, probabilities: Sequence[float], rule: Rule, separator: str) -> bool:
    """Of several labels: known names in their order, and only those in doubt on or off."""
    ids = {one_line(name): label_id for label_id, name in enumerate(rule.label_names)}
    names = one_line(_shown(label)).split(separator) if label else []
    on = [ids.get(name, -1) for name in names]
    return (
        -1 not in on
        and on == sorted(set(on))
        and all(
            abs(probability - least) <= rule.tolerance or (label_id in on) == (probability >= least)
            for label_id, (probability, least) in enumerate(
                zip(probabilities, rule.thresholds, strict=True)
            )
        )
    )


def _shown(label: bytes) -> str:
    return label.decode("utf-8", errors="backslashreplace")
