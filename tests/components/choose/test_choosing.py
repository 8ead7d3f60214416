"""Which variant is handed over, and what is said of the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tpuline.components.choose.choosing import Rule, choose, remarks, with_front
from tpuline.components.contracts import Interval, VariantResult


def result(name: str, *, drop: float = 0.0, p_value: float = 1.0, **changes: Any) -> VariantResult:
    made = VariantResult(
        name=name,
        accuracy=Interval(value=0.9 - drop, low=0.88 - drop, high=0.92 - drop),
        difference=Interval(value=-drop, low=-drop - 0.01, high=-drop + 0.01),
        p_value=p_value,
        p50_ms=4.0,
        p99_ms=10.0,
        large_p50_ms=40.0,
        large_p99_ms=50.0,
        texts_per_s=100.0,
        size_bytes=1000,
        usd_per_million=None,
        blessed=True,
        on_front=False,
        remarks=(),
    )
    return replace(made, **changes)


BASE = result("base")


def test_fastest_that_keeps_the_accuracy_is_chosen() -> None:
    fast, faster, worse = (
        result("fast", p99_ms=7.0),
        result("faster", p99_ms=6.0, drop=0.01),
        result("worse", p99_ms=1.0, drop=0.02),
    )
    name, reason = choose([BASE, fast, faster, worse], Rule())
    assert name == "faster" and "best latency of 3" in reason
    assert choose([BASE, fast, faster], Rule(max_accuracy_drop=0.0))[0] == "fast"


def test_only_formats_that_may_be_handed_over_are_chosen() -> None:
    onnx, xla = result("o", format="onnx", p99_ms=2.0), result("x", format="xla", p99_ms=5.0)
    name, reason = choose([BASE, onnx, xla], Rule())
    assert name == "x"
    assert reason.endswith(
        "of 2 that are blessed and keep the accuracy (o: not of choose.rule.formats)"
    )
    assert choose([BASE, onnx, xla], Rule(formats=("onnx", "saved_model")))[0] == "o"
    assert choose([BASE, onnx], Rule(formats=("litert",)))[0] is None
    with pytest.raises(ValueError, match="formats: must name at least one"):
        Rule(formats=())


def test_of_tails_that_are_alike_the_lowest_median_decides() -> None:
    quick = result("quick", p50_ms=2.0, p99_ms=7.0)
    lucky = result("lucky", p50_ms=3.9, p99_ms=6.0)
    assert choose([BASE, lucky, quick], Rule())[0] == "quick"
    assert choose([BASE, lucky, replace(quick, p99_ms=8.0)], Rule())[0] == "lucky"


@pytest.mark.parametrize("prefer", ["latency", "throughput", "size", "accuracy"])
def test_base_stays_where_nothing_is_clearly_better(prefer: Any) -> None:
    near = result("near", p99_ms=9.7, texts_per_s=103.0, size_bytes=970, drop=-0.005, p_value=0.3)
    name, reason = choose([BASE, near], Rule(prefer=prefer))
    assert name == "base" and reason == f"no variant has clearly better {prefer}"


@pytest.mark.parametrize(
    ("prefer", "changes"),
    [
        ("latency", {"p99_ms": 7.0}),
        ("latency", {"p99_ms": 11.0, "p50_ms": 3.7}),
        ("throughput", {"texts_per_s": 110.0}),
        ("size", {"size_bytes": 900}),
        ("accuracy", {"drop": -0.02, "p_value": 0.001}),
    ],
)
def test_what_is_clearly_better_is_chosen(prefer: Any, changes: dict[str, Any]) -> None:
    assert choose([BASE, result("other", **changes)], Rule(prefer=prefer))[0] == "other"


def test_what_is_refused_is_never_chosen() -> None:
    refused = replace(BASE, blessed=False)
    assert choose([refused, result("slow", p99_ms=30.0)], Rule())[0] == "slow"
    name, reason = choose([refused, result("fast", p99_ms=1.0, blessed=False)], Rule())
    assert name is None and reason.startswith("none that may be handed over")


def test_front_holds_what_nothing_blessed_dominates() -> None:
    made = with_front(
        [
            BASE,
            result("same but larger", size_bytes=2000),
            result("smaller", size_bytes=500, drop=0.1),
            result("refused", size_bytes=1, blessed=False),
        ]
    )
    assert [one.name for one in made if one.on_front] == ["base", "smaller"]


def test_remarks_say_what_is_worse_and_what_is_not_proven() -> None:
    assert remarks(BASE, BASE) == ()
    slow = result("slow", drop=0.05, p_value=1e-4, p50_ms=8.0)
    assert remarks(slow, BASE) == (
        "significantly worse (p = 0.0001)",
        "slower: 2.00 times the median latency",
        "not smaller",
    )
    fine = result("fine", drop=0.01, p_value=0.2, size_bytes=300)
    assert remarks(fine, BASE) == ("no significant difference in accuracy (p = 0.2)",)
    better = result("better", drop=-0.05, p_value=0.01, size_bytes=300)
    assert remarks(better, BASE) == ("significantly better (p = 0.01)",)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"p50_ms": 4.1, "p99_ms": 10.4, "large_p50_ms": 41.0, "texts_per_s": 96.0}, None),
        ({"p99_ms": 15.0}, "slower: 1.50 times its p99"),
        ({"large_p50_ms": 48.0}, "slower: 1.20 times the median of the largest batch"),
        ({"texts_per_s": 80.0}, "slower: 0.80 times the texts a second"),
        (
            {"p50_ms": 8.0, "p99_ms": 15.0, "large_p50_ms": 44.0, "texts_per_s": 90.0},
            "slower: 2.00 times the median latency, 1.50 times its p99, 1.10 times the median of "
            "the largest batch, 0.90 times the texts a second",
        ),
    ],
)
def test_remarks_say_in_what_a_variant_is_slower(changes: dict[str, Any], told: str | None) -> None:
    found = remarks(result("other", size_bytes=300, **changes), BASE)
    assert [one for one in found if one.startswith("slower")] == ([told] if told else [])


def test_single_batch_size_is_told_once() -> None:
    base = replace(BASE, large_p50_ms=BASE.p50_ms)
    slow = result("slow", p50_ms=8.0, large_p50_ms=8.0, size_bytes=300)
    assert remarks(slow, base)[1:] == ("slower: 2.00 times the median latency",)


def test_drop_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^max_accuracy_drop: must be between 0 and 1; rec"):
        Rule(max_accuracy_drop=-0.1)
