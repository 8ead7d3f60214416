"""Measured values -> verdict: what a model must meet before it may be handed over. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ..contracts import EvalReport, GateResult, Incumbent, Parity, SeveralLabels, Slice, Verdict


@dataclass(frozen=True, kw_only=True)
class Gates:
    """Conditions on the exported model. `null` leaves a condition out; parity always applies,
    and of a SavedModel that a server knows its ops."""

    min_accuracy: float | None = None
    min_accuracy_low: float | None = None  # lower bound of the 95 % interval
    min_macro_f1: float | None = None
    min_gain_over_majority: float | None = None  # in accuracy; may be negative
    min_gain_over_linear: float | None = None  # in accuracy; may be negative
    min_worst_slice_accuracy: float | None = None  # of all slices
    max_robustness_drop: float | None = None  # in accuracy, by the worst kind of perturbation
    max_expected_calibration_error: float | None = None
    max_drop_from_incumbent: float | None = None  # in accuracy; upper bound of the 95 % interval
    max_p99_ms_batch_1: float | None = None
    max_p99_ms_batch_32: float | None = None
    max_cold_start_s: float | None = None
    max_peak_memory_mb: float | None = None  # of a process that serves the model; MB = 10^6 bytes
    max_size_mb: float | None = None  # of the SavedModel folder
    # Of task multi_label only, where accuracy is of rows with all labels right.
    min_micro_f1: float | None = None
    min_micro_f1_low: float | None = None  # lower bound of the 95 % interval
    min_average_precision: float | None = None  # mean over the labels
    min_micro_f1_gain_over_linear: float | None = None  # may be negative
    max_micro_f1_drop_from_incumbent: float | None = None  # upper bound of the 95 % interval

    def __post_init__(self) -> None:
        for name, bound in set_gates(self):
            low, high = _range(name)
            if not low <= bound <= high:
                raise ValueError(
                    f"{name}: must lie between {low:g} and {high:g}; received {bound}; "
                    "set a value inside, or null to leave the gate out"
                )


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the gates look at; fields are named like the gates without `min_` and `max_`."""

    accuracy: float
    accuracy_low: float
    macro_f1: float
    gain_over_majority: float
    gain_over_linear: float
    worst_slice_accuracy: float | None  # None: no part is large enough
    robustness_drop: float | None
    expected_calibration_error: float
    drop_from_incumbent: float | None  # None: there is none
    p99_ms_batch_1: float | None  # None: not measured, and then no gate may ask for it
    p99_ms_batch_32: float | None
    cold_start_s: float
    peak_memory_mb: float
    size_mb: float
    micro_f1: float | None = None  # None: not of multi-label data, as are the following
    micro_f1_low: float | None = None
    average_precision: float | None = None
    micro_f1_gain_over_linear: float | None = None
    micro_f1_drop_from_incumbent: float | None = None
    notes: Mapping[str, str] = field(default_factory=dict)  # by gate: what its value is that of


OF_SEVERAL = (
    "min_micro_f1",
    "min_micro_f1_low",
    "min_average_precision",
    "min_micro_f1_gain_over_linear",
    "max_micro_f1_drop_from_incumbent",
)
"""Gates of multi-label data only."""


def measured(report: EvalReport, size_bytes: int) -> Measured:
    """What the gates look at, of a model whose files have so many bytes."""
    accuracy, rival = report.accuracy, report.incumbent
    p99_ms = {profile.batch_size: profile.p99_ms for profile in report.latency}
    return Measured(
        accuracy=accuracy.value,
        accuracy_low=accuracy.low,
        macro_f1=report.macro_f1.value,
        gain_over_majority=accuracy.value - report.majority_accuracy,
        gain_over_linear=accuracy.value - report.linear_accuracy,
        robustness_drop=max((one.drop for one in report.robustness), default=None),
        expected_calibration_error=report.expected_calibration_error,
        drop_from_incumbent=None if rival is None else -rival.difference.low,
        p99_ms_batch_1=p99_ms.get(1),
        p99_ms_batch_32=p99_ms.get(32),
        cold_start_s=report.cold_start_s,
        peak_memory_mb=report.peak_memory_bytes / 1e6,
        size_mb=size_bytes / 1e6,
        **_of_slices(report.slices),
        **of_several(report.several, rival),
    )


def _of_slices(parts: tuple[Slice, ...]) -> dict[str, Any]:
    """The fields of `Measured` that tell of the worst slice."""
    if not parts:
        return {"worst_slice_accuracy": None}
    worst = min(parts, key=lambda part: part.accuracy.value)
    return {
        "worst_slice_accuracy": worst.accuracy.value,
        "notes": {"min_worst_slice_accuracy": f"{worst.column} {worst.value}"},
    }


def of_several(found: SeveralLabels | None, rival: Incumbent | None) -> dict[str, Any]:
    """The fields of `Measured` that tell of answers of several labels."""
    if found is None:
        return {}
    difference = None if rival is None else rival.micro_f1_difference
    return {
        "micro_f1": found.micro_f1.value,
        "micro_f1_low": found.micro_f1.low,
        "average_precision": found.average_precision,
        "micro_f1_gain_over_linear": found.micro_f1.value - found.linear_micro_f1,
        "micro_f1_drop_from_incumbent": None if difference is None else -difference.low,
    }


def set_gates(gates: Gates) -> Iterator[tuple[str, float]]:
    """Name and bound of each gate that is set, in the order of the config."""
    for gate in fields(gates):
        bound = getattr(gates, gate.name)
        if bound is not None:
            yield gate.name, bound


def unmeasured(
    gates: Gates,
    *,
    batch_sizes: tuple[int, ...],
    robustness_rows: int,
    has_incumbent: bool,
    task: str,
) -> Iterator[str]:
    """Gates on what is not measured, in the words of the config."""
    for name, _ in set_gates(gates):
        size = int(name.rpartition("_")[2]) if name.startswith("max_p99_ms_batch_") else None
        if size is not None and size not in batch_sizes:
            yield (
                f"judge.{name}: the batch size must be among evaluate.latency.batch_sizes; "
                f"received {list(batch_sizes)}; add {size} there, or set the gate to null"
            )
        elif name == "max_robustness_drop" and not robustness_rows:
            yield f"judge.{name}: needs evaluate.robustness_rows above 0; received 0; e.g. 500"
        elif name in OF_SEVERAL and task != "multi_label":
            yield (
                f"judge.{name}: must be null unless preprocess.task is multi_label; received task "
                f"{task}; set min_accuracy or min_macro_f1"
            )
        elif name.endswith("_drop_from_incumbent") and not has_incumbent:
            yield (
                f"judge.{name}: needs an incumbent; received null; set evaluate.incumbent to the "
                "folder of the model that serves now"
            )


def judge(
    gates: Gates, measured: Measured, parity: Parity, *, unservable: tuple[str, ...] | None = None
) -> tuple[GateResult, ...]:
    """One result for parity, for the ops of a SavedModel, and for each gate that is set.

    `unservable` is what `serving.servable_ops` finds; None for what is not a SavedModel.
    """
    return (
        _judge_parity(parity),
        *(() if unservable is None else (_judge_ops(unservable),)),
        *(
            _judge_bound(
                name,
                bound,
                getattr(measured, name.split("_", 1)[1]),
                note=measured.notes.get(name, ""),
            )
            for name, bound in set_gates(gates)
        ),
    )


def verdict(results: tuple[GateResult, ...]) -> Verdict:
    """Blessed when every gate passed."""
    failures_first = sorted(results, key=lambda result: result.passed)
    return Verdict(
        blessed=all(result.passed for result in results),
        reasons=tuple(f"{result.name}: {result.message}" for result in failures_first),
    )


def _judge_parity(parity: Parity) -> GateResult:
    return GateResult(
        name="parity",
        passed=parity.passed,
        message=(
            f"on {parity.num_texts} texts the SavedModel strays from the Keras model by at most "
            f"{parity.max_abs_diff:.2g} in a probability, allowed {parity.tolerance:.2g}, and "
            f"tokenizes {parity.token_mismatches} of them differently"
        ),
    )


def _judge_ops(unservable: tuple[str, ...]) -> GateResult:
    return GateResult(
        name="servable_ops",
        passed=not unservable,
        message="; ".join(unservable) or "a server of TensorFlow and TF Text knows every op",
    )


def _judge_bound(name: str, bound: float, value: float | None, *, note: str) -> GateResult:
    if value is None and name == "min_worst_slice_accuracy":
        return GateResult(name=name, passed=False, message="no part of the rows is large enough")
    if value is None:
        raise ValueError(
            f"judge.{name}: needs what evaluate did not measure; received {bound}; set it to null, "
            "or have evaluate measure it"
        )
    is_minimum = name.startswith("min_")
    passed = value >= bound if is_minimum else value <= bound
    shown, required = _show(value, bound)
    if is_minimum:
        relation = "meets the required" if passed else "is below the required"
    else:
        relation = "is within the allowed" if passed else "is above the allowed"
    message = f"{shown} {relation} {required}" + (f": {note}" if note else "")
    return GateResult(name=name, passed=passed, message=message)


def _show(value: float, bound: float) -> tuple[str, str]:
    """Three decimals, or as many as it takes to tell the two numbers apart."""
    for decimals in range(3, 12):
        shown, required = f"{value:.{decimals}f}", f"{bound:.{decimals}f}"
        if shown != required or value == bound:
            return shown, required
    return repr(value), repr(bound)


def _range(name: str) -> tuple[float, float]:
    if "_gain_over_" in name:
        return -1.0, 1.0
    if name.startswith("min_") or name in (
        "max_expected_calibration_error",
        "max_robustness_drop",
        "max_drop_from_incumbent",
        "max_micro_f1_drop_from_incumbent",
    ):
        return 0.0, 1.0
    return 0.0, float("inf")
