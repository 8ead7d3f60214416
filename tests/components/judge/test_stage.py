"""The judge stage: from what evaluate measured to a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.components.evaluate.conftest import Recorder, references
from tests.pipeline.run_facts import finished
from tpuline.components.contracts import EvalReport, Servable, ShardSet
from tpuline.components.evaluate import stage as evaluate
from tpuline.components.evaluate.latency import Latency
from tpuline.components.judge import stage
from tpuline.components.judge.gates import Gates
from tpuline.components.stage import Context

GATES = Gates(  # every one; only min_gain_over_linear is out of reach
    min_accuracy=0.9,
    min_accuracy_low=0.8,
    min_macro_f1=0.9,
    min_worst_slice_accuracy=0.8,
    max_robustness_drop=0.9,  # it knows no capitals
    max_drop_from_incumbent=0.0,
    min_gain_over_majority=0.1,
    min_gain_over_linear=0.1,
    max_expected_calibration_error=0.9,
    max_p99_ms_batch_1=60_000,
    max_p99_ms_batch_32=60_000,
    max_cold_start_s=60,
    max_peak_memory_mb=5_000,
    max_size_mb=20,
)


def test_every_gate_looks_at_what_was_measured(
    corpus: ShardSet, word_model: Servable, deaf_model: Path, context: Context, log: Recorder
) -> None:
    config = evaluate.Config(
        latency=Latency(num_requests=10, warmup_requests=2, batch_sizes=(1, 32)),
        incumbent=str(deaf_model),
    )
    inputs = evaluate.Inputs(shards=corpus, references=references("test"), servable=word_model)
    report = evaluate.run(config, inputs, context)
    made = stage.run(GATES, stage.Inputs(report=report, servable=word_model), context)

    assert [gate.name for gate in made.gates if not gate.passed] == ["min_gain_over_linear"]
    assert not made.verdict.blessed
    assert made.verdict.reasons[0] == "min_gain_over_linear: 0.000 is below the required 0.100"
    parity, ops, *judged = made.gates
    assert (parity.name, ops.name) == ("parity", "servable_ops")
    worst = min(report.slices, key=lambda part: part.accuracy.value)
    (named,) = [gate for gate in judged if gate.name == "min_worst_slice_accuracy"]
    assert named.message.endswith(f": {worst.column} {worst.value}")
    assert {gate.name: gate.message.split()[0] for gate in judged} == {
        name: f"{value:.3f}" for name, value in what_gates_look_at(report).items()
    }
    assert not any("gate" in warning for warning in log.warnings)


def what_gates_look_at(report: EvalReport) -> dict[str, float]:
    single, batch = report.latency
    assert report.incumbent
    return {
        "min_accuracy": report.accuracy.value,
        "min_accuracy_low": report.accuracy.low,
        "min_macro_f1": report.macro_f1.value,
        "min_gain_over_majority": report.accuracy.value - report.majority_accuracy,
        "min_gain_over_linear": report.accuracy.value - report.linear_accuracy,
        "min_worst_slice_accuracy": min(part.accuracy.value for part in report.slices),
        "max_robustness_drop": max(one.drop for one in report.robustness),
        "max_drop_from_incumbent": -report.incumbent.difference.low,
        "max_expected_calibration_error": report.expected_calibration_error,
        "max_p99_ms_batch_1": single.p99_ms,
        "max_p99_ms_batch_32": batch.p99_ms,
        "max_cold_start_s": report.cold_start_s,
        "max_peak_memory_mb": report.peak_memory_bytes / 1e6,
        "max_size_mb": 12.345678,
    }


@pytest.fixture
def report() -> EvalReport:
    made = finished().evaluation
    assert made
    return made


def test_a_saved_model_that_calls_python_is_not_blessed(
    export_word_model: Callable[..., Servable], report: EvalReport, context: Context
) -> None:
    servable = export_word_model(broken="python")
    made = stage.run(
        Gates(min_accuracy=0.5), stage.Inputs(report=report, servable=servable), context
    )
    assert not made.verdict.blessed
    assert made.verdict.reasons[0].startswith("servable_ops: EagerPyFunc (")


def test_ops_are_judged_of_saved_models_only_and_no_gate_is_warned_of(
    word_model: Servable, report: EvalReport, context: Context, log: Recorder
) -> None:
    onnx = replace(word_model, format="onnx")
    made = stage.run(Gates(), stage.Inputs(report=report, servable=onnx), context)
    assert [gate.name for gate in made.gates] == ["parity"] and made.verdict.blessed
    assert "no quality gate is set" in log.warnings[0]


def test_without_a_slice_that_is_large_enough_its_gate_is_missed(
    word_model: Servable, report: EvalReport, context: Context
) -> None:
    few = replace(report, slices=())
    made = stage.run(
        Gates(min_worst_slice_accuracy=0.1), stage.Inputs(report=few, servable=word_model), context
    )
    assert (
        made.verdict.reasons[0] == "min_worst_slice_accuracy: no part of the rows is large enough"
    )
