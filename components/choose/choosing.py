"""Measured variants -> remarks, the Pareto front, and the one to hand over. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..contracts import Format, VariantResult

Preference = Literal["latency", "throughput", "size", "accuracy"]

SIGNIFICANT = 0.05
"""p-values below it are told as significant."""

SAME = 0.05
"""Speeds and sizes that differ by less than this share count as equal: they are measured."""

SAME_TAIL = 0.25
"""As much for p99, which some hundreds of requests tell no better."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a variant must keep, and what decides among those that do."""

    prefer: Preference = "latency"  # p99 of the smallest batch measured; where it is alike, p50
    max_accuracy_drop: float = 0.01  # against the model as it was trained
    formats: tuple[Format, ...] = ("saved_model", "xla")  # that may be handed over

    def __post_init__(self) -> None:
        if not self.formats:
            raise ValueError(
                "formats: must name at least one; received none; [saved_model, xla] are what "
                "TensorFlow Serving takes"
            )
        if not 0 <= self.max_accuracy_drop <= 1:
            raise ValueError(
                f"max_accuracy_drop: must be between 0 and 1; received {self.max_accuracy_drop}; "
                "e.g. 0.01"
            )


def remarks(result: VariantResult, base: VariantResult) -> tuple[str, ...]:
    """What is worse than with the base, or not proven to be, in words."""
    if result.name == base.name:
        return ()
    found = []
    drop = -result.difference.value
    if result.p_value < SIGNIFICANT:
        word = "worse" if drop > 0 else "better"
        found.append(f"significantly {word} (p = {result.p_value:.2g})")
    else:
        found.append(f"no significant difference in accuracy (p = {result.p_value:.2g})")
    if slower := _slower(result, base):
        found.append(f"slower: {', '.join(slower)}")
    if result.size_bytes > base.size_bytes * (1 - SAME):
        found.append("not smaller")
    return tuple(found)


def _slower(result: VariantResult, base: VariantResult) -> list[str]:
    """In what; where one batch size was measured, it is the smallest and the largest at once."""
    ours = (result.p50_ms, result.p99_ms, result.large_p50_ms)
    theirs = (base.p50_ms, base.p99_ms, base.large_p50_ms)
    names = ("the median latency", "its p99", "the median of the largest batch")
    found = [
        f"{mine / other:.2f} times {name}"
        for name, mine, other, same in zip(
            names, ours, theirs, (SAME, SAME_TAIL, SAME), strict=True
        )
        if mine > other * (1 + same)
    ]
    if (ours[2], theirs[2]) == (ours[0], theirs[0]):  # one batch size was measured
        found = [one for one in found if not one.endswith(names[2])]
    if result.texts_per_s < base.texts_per_s * (1 - SAME):
        found.append(f"{result.texts_per_s / base.texts_per_s:.2f} times the texts a second")
    return found


def with_front(results: Sequence[VariantResult]) -> tuple[VariantResult, ...]:
    """The results with `on_front` set: of the blessed, those that no other dominates."""
    blessed = [result for result in results if result.blessed]
    front = {
        result.name for result in blessed if not any(_dominates(other, result) for other in blessed)
    }
    return tuple(replace(result, on_front=result.name in front) for result in results)


def choose(results: Sequence[VariantResult], rule: Rule) -> tuple[str | None, str]:
    """Name of the variant to hand over, and why. The base, which comes first, wins ties."""
    base = results[0]
    others = [result.name for result in results if result.format not in rule.formats]
    note = f" ({', '.join(others)}: not of choose.rule.formats)" if others else ""
    fit = [
        result
        for result in results
        if result.name not in others
        and result.blessed
        and result.difference.value >= -rule.max_accuracy_drop
    ]
    if not fit:
        return None, f"none that may be handed over is blessed and keeps the accuracy{note}"
    best = _best(fit, rule.prefer)
    if base in fit and not _clearly_less(best, base, rule.prefer):
        return base.name, f"no variant has clearly better {rule.prefer}{note}"
    why = f"best {rule.prefer} of {len(fit)} that are blessed and keep the accuracy{note}"
    return best.name, why


def _best(results: Sequence[VariantResult], prefer: Preference) -> VariantResult:
    best = min(results, key=lambda result: _cost(result, prefer))
    if prefer != "latency":
        return best
    alike = [result for result in results if result.p99_ms <= best.p99_ms * (1 + SAME_TAIL)]
    return min(alike, key=lambda result: (result.p50_ms, result.p99_ms))


def _cost(result: VariantResult, prefer: Preference) -> float:
    return {
        "latency": result.p99_ms,
        "throughput": -result.texts_per_s,
        "size": float(result.size_bytes),
        "accuracy": -result.accuracy.value,
    }[prefer]


def _clearly_less(result: VariantResult, base: VariantResult, prefer: Preference) -> bool:
    if prefer == "accuracy":
        return result.difference.value > 0 and result.p_value < SIGNIFICANT
    if prefer == "latency":
        if result.p99_ms < base.p99_ms * (1 - SAME_TAIL):
            return True
        alike = result.p99_ms <= base.p99_ms * (1 + SAME_TAIL)
        return alike and result.p50_ms < base.p50_ms * (1 - SAME)
    ours, theirs = abs(_cost(result, prefer)), abs(_cost(base, prefer))
    return ours > theirs * (1 + SAME) if prefer == "throughput" else ours < theirs * (1 - SAME)


def _dominates(one: VariantResult, other: VariantResult) -> bool:
    """Whether `one` is no worse in anything, and better in something."""
    pairs = [
        (-one.accuracy.value, -other.accuracy.value),
        (one.p99_ms, other.p99_ms),
        (one.size_bytes, other.size_bytes),
        (-one.texts_per_s, -other.texts_per_s),
    ]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
