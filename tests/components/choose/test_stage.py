"""The choose stage from stored answers to a choice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.components.evaluate.conftest import Recorder
from tests.components.export.toy import context
from tests.pipeline.run_facts import finished
from tpuline.components.choose import stage
from tpuline.components.choose.choosing import Rule
from tpuline.components.contracts import EvalReport, Judgement, Servable, ShardSet, Verdict
from tpuline.components.turns import Turns

NUM_ROWS = 1000


def judged(folder: Path, *, num_wrong: int, speed: float = 1.0) -> EvalReport:
    """A report whose model answers the last `num_wrong` rows wrongly, `speed` times as fast."""
    whole = finished().evaluation
    assert whole
    folder.mkdir()
    labels = np.arange(NUM_ROWS) % 2
    predicted = np.where(np.arange(NUM_ROWS) < NUM_ROWS - num_wrong, labels, 1 - labels)
    np.savez(folder / "predictions.npz", labels=labels, predicted=predicted)
    accuracy = 1 - num_wrong / NUM_ROWS
    latency = tuple(
        replace(p, p50_ms=p.p50_ms / speed, p99_ms=p.p99_ms / speed, texts_per_s=100 * speed)
        for p in whole.latency
    )
    return replace(
        whole,
        uri=str(folder),
        accuracy=replace(whole.accuracy, value=accuracy),
        latency=latency,
    )


def inputs_of(
    reports: Mapping[str, EvalReport],
    servables: Mapping[str, Servable],
    *,
    shards: ShardSet | None = None,
    refused: str | None = None,
) -> stage.Inputs:
    """All are blessed but for `refused`."""
    return stage.Inputs(
        shards=shards or made_up(),
        reports=reports,
        judgements={
            name: Judgement(uri="", gates=(), verdict=Verdict(blessed=name != refused, reasons=()))
            for name in reports
        },
        servables=servables,
    )


def made_up() -> ShardSet:
    made = finished().shards
    assert made
    return made


@pytest.fixture
def servable() -> Servable:
    made = finished().servable
    assert made
    return made


def test_variants_are_compared_row_by_row_and_the_best_is_chosen(
    tmp_path: Path, servable: Servable
) -> None:
    reports = {
        "base": judged(tmp_path / "base", num_wrong=80),
        "fast": judged(tmp_path / "fast", num_wrong=85, speed=2.0),
        "wrong": judged(tmp_path / "wrong", num_wrong=300, speed=4.0),
    }
    small = replace(servable, size_bytes=servable.size_bytes // 2)
    servables = {"base": servable, "fast": small, "wrong": small}
    config = stage.Config(usd_per_hour=0.36, turns=Turns(rounds=0))
    inputs = inputs_of(reports, servables)
    made = stage.run(config, inputs, context(tmp_path / "work"))
    assert made.chosen == "fast" and made.batch_size == 1
    base, fast, wrong = made.variants
    assert (base.name, base.difference.value, base.p_value, base.remarks) == ("base", 0.0, 1.0, ())
    assert fast.difference.value == pytest.approx(-0.005)
    assert fast.p_value == pytest.approx(2 / 2**5)  # five rows, all lost
    assert wrong.remarks[0].startswith("significantly worse")
    assert base.usd_per_million == pytest.approx(1e6 / 100 / 3600 * 0.36)
    assert fast.usd_per_million == pytest.approx(base.usd_per_million / 2)
    assert [one.on_front for one in made.variants] == [True, True, True]


def test_format_that_may_not_be_handed_over_is_told_where_it_would_be_best(
    tmp_path: Path, servable: Servable
) -> None:
    reports = {
        "base": judged(tmp_path / "base", num_wrong=80),
        "fast": judged(tmp_path / "fast", num_wrong=80, speed=2.0),
    }
    servables = {"base": servable, "fast": replace(servable, format="onnx")}
    inputs = inputs_of(reports, servables)
    log = Recorder()
    ctx = replace(context(tmp_path / "work"), log=log)
    made = stage.run(stage.Config(turns=Turns(rounds=0)), inputs, ctx)
    assert made.chosen == "base" and [one.format for one in made.variants] == [
        "saved_model",
        "onnx",
    ]
    assert log.warnings == [
        "choose: fast would be handed over, were onnx among choose.rule.formats"
    ]


def three(folder: Path) -> dict[str, EvalReport]:
    """Judged alone, `late` and `refused` had the machine for themselves no more."""
    return {
        "base": judged(folder / "base", num_wrong=80),
        "late": judged(folder / "late", num_wrong=80, speed=0.02),
        "refused": judged(folder / "refused", num_wrong=80, speed=0.02),
    }


def test_all_are_timed_in_turns_and_what_is_refused_is_not_chosen(
    tmp_path: Path, corpus: ShardSet, export_word_model: Callable[..., Servable]
) -> None:
    """All three are the same model; what is refused is the smallest."""
    servables = {name: export_word_model() for name in ("base", "late", "refused")}
    servables["refused"] = replace(servables["refused"], size_bytes=1)
    made = stage.run(
        stage.Config(rule=Rule(prefer="size"), turns=Turns(rounds=12, requests=5)),
        inputs_of(three(tmp_path), servables, shards=corpus, refused="refused"),
        context(tmp_path / "work"),
    )
    base, *others = made.variants
    assert all(one.in_turns for one in made.variants) and made.chosen == "base"
    for one in others:
        assert one.p50_ms == pytest.approx(base.p50_ms, rel=0.5)
        assert one.texts_per_s > base.texts_per_s / 10  # alone a fiftieth; the machine may be busy


def test_refused_variant_that_cannot_be_timed_keeps_none_from_its_turn(
    tmp_path: Path, corpus: ShardSet, export_word_model: Callable[..., Servable]
) -> None:
    reports, log = three(tmp_path), Recorder()
    servables = {"base": export_word_model(), "late": export_word_model()}
    servables["refused"] = replace(servables["base"], saved_model_dir="not/there")
    made = stage.run(
        stage.Config(turns=Turns(rounds=3, requests=2)),
        inputs_of(reports, servables, shards=corpus, refused="refused"),
        replace(context(tmp_path / "work"), log=log),
    )
    assert [one.in_turns for one in made.variants] == [True, True, False]
    assert made.variants[2].p50_ms == min(one.p50_ms for one in reports["refused"].latency)
    (warning,) = log.warnings
    assert warning.startswith("choose: base, late, refused could not be timed in turns")


def test_timing_in_turns_that_fails_is_a_warning_and_what_each_took_alone_decides(
    tmp_path: Path, corpus: ShardSet, servable: Servable
) -> None:
    reports = {
        "base": judged(tmp_path / "base", num_wrong=80),
        "fast": judged(tmp_path / "fast", num_wrong=80, speed=2.0),
    }
    log = Recorder()
    made = stage.run(
        stage.Config(),
        inputs_of(reports, {"base": servable, "fast": servable}, shards=corpus),
        replace(context(tmp_path / "work"), log=log),
    )
    assert made.chosen == "fast" and not any(one.in_turns for one in made.variants)
    assert len(log.warnings) == 1
    assert log.warnings[0].startswith("choose: base, fast could not be timed in turns")


def test_no_price_gives_no_cost_and_a_wrong_one_is_refused(
    tmp_path: Path, servable: Servable
) -> None:
    reports = {"base": judged(tmp_path / "base", num_wrong=9)}
    inputs = inputs_of(reports, {"base": servable})
    made = stage.run(stage.Config(), inputs, context(tmp_path / "work"))
    assert made.variants[0].usd_per_million is None and made.chosen == "base"
    with pytest.raises(ValueError, match=r"^usd_per_hour: must be above 0, or null; received 0"):
        stage.Config(usd_per_hour=0.0)
