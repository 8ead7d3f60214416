"""Gates: each one passes and fails where it should, and says so."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from tpuline.components.contracts import Parity
from tpuline.components.judge.gates import Gates, Measured, judge, of_several, unmeasured, verdict
from tpuline.components.measured import Interval, SeveralLabels

PARITY = Parity(passed=True, num_texts=64, token_mismatches=0, max_abs_diff=1e-7, tolerance=1e-5)
MEASURED = Measured(
    accuracy=0.842,
    accuracy_low=0.83,
    macro_f1=0.8,
    worst_slice_accuracy=0.7,
    robustness_drop=0.04,
    drop_from_incumbent=0.01,
    gain_over_majority=0.3,
    gain_over_linear=-0.01,
    expected_calibration_error=0.05,
    p99_ms_batch_1=4.0,
    p99_ms_batch_32=40.0,
    cold_start_s=1.5,
    peak_memory_mb=700.0,
    size_mb=12.0,
    micro_f1=0.7,
    micro_f1_low=0.6,
    average_precision=0.75,
    micro_f1_gain_over_linear=-0.02,
    micro_f1_drop_from_incumbent=0.03,
)


@pytest.mark.parametrize("name", [field.name for field in fields(Gates)])
def test_every_gate_passes_on_its_bound_and_fails_beyond_it(name: str):
    value = getattr(MEASURED, name.removeprefix("min_").removeprefix("max_"))
    step = 1e-6 if name.startswith("min_") else -1e-6
    *_, met = judge(Gates(**{name: value}), MEASURED, PARITY)
    *_, missed = judge(Gates(**{name: value + step}), MEASURED, PARITY)
    assert (met.name, met.passed) == (name, True)
    assert (missed.name, missed.passed) == (name, False)


def test_the_worst_slice_is_named():
    measured = replace(MEASURED, notes={"min_worst_slice_accuracy": "shop Bern"})
    *_, missed = judge(Gates(min_worst_slice_accuracy=0.8), measured, PARITY)
    assert missed.message == "0.700 is below the required 0.800: shop Bern"


def test_a_model_without_gates_is_judged_by_parity_alone():
    results = judge(Gates(), MEASURED, PARITY)
    assert [(result.name, result.passed) for result in results] == [("parity", True)]
    assert verdict(results).blessed


def test_a_model_that_fails_parity_is_never_blessed():
    broken = replace(PARITY, passed=False, token_mismatches=3)
    outcome = verdict(judge(Gates(min_accuracy=0.5), MEASURED, broken))
    assert not outcome.blessed
    assert outcome.reasons[0].startswith("parity: ")
    assert "tokenizes 3 of them differently" in outcome.reasons[0]


def test_a_model_with_ops_that_a_server_lacks_is_never_blessed():
    known = judge(Gates(), MEASURED, PARITY, unservable=())
    assert [(result.name, result.passed) for result in known] == [
        ("parity", True),
        ("servable_ops", True),
    ]
    outcome = verdict(judge(Gates(), MEASURED, PARITY, unservable=("PyFunc (1 times): x", "B: y")))
    assert not outcome.blessed
    assert outcome.reasons[0] == "servable_ops: PyFunc (1 times): x; B: y"


def test_a_verdict_names_failures_first_in_sentences():
    gates = Gates(min_accuracy=0.86, min_macro_f1=0.7, max_p99_ms_batch_1=3.5, max_size_mb=20)
    outcome = verdict(judge(gates, MEASURED, PARITY))
    assert not outcome.blessed
    assert outcome.reasons[:2] == (
        "min_accuracy: 0.842 is below the required 0.860",
        "max_p99_ms_batch_1: 4.000 is above the allowed 3.500",
    )
    assert outcome.reasons[3:] == (
        "min_macro_f1: 0.800 meets the required 0.700",
        "max_size_mb: 12.000 is within the allowed 20.000",
    )


def test_a_near_miss_shows_enough_digits_to_see_it():
    close = replace(MEASURED, accuracy=0.85996)
    *_, result = judge(Gates(min_accuracy=0.86), close, PARITY)
    assert result.message == "0.85996 is below the required 0.86000"


@pytest.mark.parametrize(
    ("gate", "bound"),
    [
        ("min_accuracy", 86.0),
        ("min_gain_over_linear", -1.5),
        ("max_expected_calibration_error", 1.1),
        ("max_cold_start_s", -1.0),
        ("min_macro_f1", float("nan")),
    ],
)
def test_a_bound_that_cannot_be_meant_is_refused(gate: str, bound: float):
    with pytest.raises(ValueError, match=f"^{gate}: must lie between .*; received {bound}; "):
        Gates(**{gate: bound})


def test_a_gate_on_what_was_not_measured_is_refused():
    unknown = replace(MEASURED, drop_from_incumbent=None)
    with pytest.raises(ValueError, match=r"^judge.max_drop_from_incumbent: needs what evaluate"):
        judge(Gates(max_drop_from_incumbent=0.1), unknown, PARITY)


MEASURED_ALL = {
    "batch_sizes": (1, 32),
    "robustness_rows": 500,
    "has_incumbent": True,
    "task": "multi_label",
}


@pytest.mark.parametrize(
    ("gate", "change", "words"),
    [
        (
            "max_p99_ms_batch_32",
            {"batch_sizes": (1, 16)},
            "the batch size must be among evaluate.latency.batch_sizes; received [1, 16]; add 32",
        ),
        ("max_robustness_drop", {"robustness_rows": 0}, "needs evaluate.robustness_rows above 0"),
        ("max_drop_from_incumbent", {"has_incumbent": False}, "needs an incumbent; received null"),
        ("max_micro_f1_drop_from_incumbent", {"has_incumbent": False}, "needs an incumbent"),
        ("min_micro_f1", {"task": "classification"}, "must be null unless preprocess.task"),
    ],
)
def test_a_gate_on_what_is_not_measured_is_told(gate: str, change: dict[str, Any], words: str):
    gates = Gates(**{gate: 0.5, "max_p99_ms_batch_1": 5.0})
    assert not list(unmeasured(gates, **MEASURED_ALL))
    (told,) = unmeasured(gates, **(MEASURED_ALL | change))
    assert told.startswith(f"judge.{gate}: {words}")


def test_gates_see_micro_f1_and_its_drop() -> None:
    found = SeveralLabels(
        micro_f1=Interval(value=0.8, low=0.7, high=0.9),
        label_accuracy=0.9,
        average_precision=0.85,
        linear_micro_f1=0.75,
        labels_a_row=1.0,
        answered_a_row=1.1,
    )
    rival: Any = type("Rival", (), {"micro_f1_difference": Interval(value=0, low=-0.1, high=0.1)})
    told = of_several(found, rival)
    assert told["micro_f1_gain_over_linear"] == pytest.approx(0.05)
    assert told["micro_f1_drop_from_incumbent"] == 0.1
    assert of_several(None, None) == {}
    with pytest.raises(ValueError, match=r"^min_micro_f1: must lie between 0 and 1; received 2"):
        Gates(min_micro_f1=2.0)
    assert Gates(min_micro_f1_gain_over_linear=-0.5)
