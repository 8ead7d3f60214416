"""What the report of a run tells of variants, load, parts of the rows, and single answers."""

from __future__ import annotations

import base64
import hashlib
import html as html_escapes
import re
from dataclasses import replace
from typing import Any

import pytest

from tpuline.components.contracts import (
    Incumbent,
    Interval,
    SeveralLabels,
    Threshold,
)
from tpuline.components.handoff import card
from tpuline.pipeline import report
from tpuline.pipeline.hardware.utilisation import Utilisation

from .report_page import Page, html_of
from .run_facts import INTENTS, finished, stopped_after, with_variants


def test_variants_stand_side_by_side_with_the_chosen_one_and_remarks() -> None:
    facts = with_variants()
    document = report.to_json(facts)
    assert document["choice"]["chosen"] == "int8"
    words = " ".join(Page(html_of(facts)).words.split())
    assert "Blessed: int8" in words and "Handed over is int8: best latency of 2." in words
    assert "pruned: significantly worse (p = 1e-09); not smaller" in words
    assert "-11.3 -14.0 to -8.0" in words
    lines = "\n".join(report.summary_lines(document))
    assert "chosen      int8: best latency of 2" in lines
    assert "refused, significantly worse (p = 1e-09), not smaller" in lines


def test_it_is_told_which_variants_were_timed_in_turns_and_what_counts() -> None:
    facts = with_variants()
    assert facts.choice
    alone = " ".join(Page(html_of(facts)).words.split())
    assert "were timed in turns" not in alone and "latency, of the quieter" not in alone
    for names, who in (
        ([one.name for one in facts.choice.variants], "All were timed in turns"),
        (["base", "int8"], "The model as trained and those that are blessed were timed in turns"),
    ):
        variants = [replace(one, in_turns=one.name in names) for one in facts.choice.variants]
        turned = replace(facts, choice=replace(facts.choice, variants=tuple(variants)))
        words = " ".join(Page(html_of(turned)).words.split())
        assert who in words
        assert "took in the quieter half of the rounds" in words
        assert "percentile of latency, of the quieter half of the rounds. The area" in words


def test_model_without_variants_has_no_section_on_them() -> None:
    page = html_of(finished())
    assert 'id="variants"' not in page and "Blessed<" in page


def test_training_tells_what_it_left_out_what_set_its_pace_and_what_it_used_of_the_chips() -> None:
    facts = replace(finished(), utilisation=Utilisation(chip="v5e-8", share=0.374))
    document = report.to_json(facts)
    lines = "\n".join(report.summary_lines(document))
    words = " ".join(Page(html_of(facts)).words.split())
    left_out = "he loss broke; left out were 10 batches from 40 of epoch 2"
    pace = "he input set the pace: waiting for it took 31% of the time; 461 examples/s without it"
    assert f"left out    t{left_out}" in lines and f"T{left_out}" in words
    assert f"input       t{pace}" in lines and f"T{pace}" in words
    assert "chips       37.4% of the peak of v5e-8" in lines
    assert "Model FLOPs, of the peak of v5e-837.4%" in words
    assert "best on validation were kept: step 375 of 450" in words


def test_load_is_told_by_target_and_scenario_with_the_spread_of_repeats() -> None:
    facts = finished()
    document = report.to_json(facts)
    assert [result["target"] for result in document["load"]["results"]][:2] == [
        "in_process", "triton+grpc",
    ]  # fmt: skip
    page = html_of(facts)
    words = " ".join(Page(page).words.split())
    assert "within 50 ms" in words
    assert [one["spread"] for one in document["load"]["by_scenario"]] == [
        None, pytest.approx(0.267, abs=1e-3), None,
    ]  # fmt: skip
    assert "104 95.5 to 121, 27% apart: unsteady" in words and '<small class="fail">95.5' in page
    assert "triton+http, multi_stream: 2 of 800 texts got no answer" in words
    assert "answers otherwise than in process: '<b>': a probability differs" in words
    assert "answers 656 texts, hostile ones among them, as in process" in words
    assert "<refused>" not in page
    lines = "\n".join(report.summary_lines(document))
    assert (
        "triton+grpc server: 103 texts/s, p50 2.94, p99 48.1 ms, rates found of 3 runs 95.5 to "
        "121, 27% apart, too much to rely on" in lines
    )
    assert "multi_stream: 311 texts/s, p50 2.94, p99 5.87 ms, does not count" in lines
    assert "wire        triton+http: '<b>': a probability differs" in lines


def test_spread_of_steady_repeats_is_told_without_alarm() -> None:
    facts = finished()
    assert facts.load
    results = [
        replace(one, asked_per_s=one.asked_per_s and 100.0 + one.repeat)
        for one in facts.load.results
    ]
    steady = replace(facts, load=replace(facts.load, results=tuple(results)))
    words = " ".join(Page(html_of(steady)).words.split())
    assert "101 to 103, 2% apart" in words and "unsteady" not in words
    lines = "\n".join(report.summary_lines(report.to_json(steady)))
    assert "101 to 103, 2% apart" in lines and "too much" not in lines


@pytest.mark.parametrize(
    ("scenario", "field", "told"),
    [
        ("single_stream", "p99_ms", "p99 of 3 runs 5 to 6, 20% apart, too much to rely on"),
        ("multi_stream", "p99_ms", "p99 of 3 runs 5 to 6, 20% apart, too much to rely on"),
        ("offline", "texts_per_s", "texts/s of 3 runs 5 to 6, 20% apart, too much to rely on"),
    ],
)
def test_of_repeats_the_one_in_the_middle_is_told_by_what_its_scenario_is_judged_by(
    scenario: Any, field: str, told: str
) -> None:
    facts = finished()
    assert facts.load
    runs = [
        replace(facts.load.results[0], scenario=scenario, repeat=repeat, **{field: value})
        for repeat, value in enumerate((6.0, 5.0, 5.5), start=1)
    ]
    (found,) = replace(facts.load, results=tuple(runs)).by_scenario()
    assert found.middle == runs[2] and (found.least, found.most) == (5.0, 6.0)
    repeated = replace(facts, load=replace(facts.load, results=tuple(runs), wire=()))
    assert told in "\n".join(report.summary_lines(report.to_json(repeated)))
    words = " ".join(Page(html_of(repeated)).words.split())
    assert words.count("5 to 6, 20% apart: unsteady") == 1
    assert f"| in_process | {scenario} | 3 |" in "\n".join(card._under_load(repeated.load))


def test_spread_is_of_the_repeats_that_count() -> None:
    load = finished().load
    assert load
    found = load.results[1:4]
    spoilt = tuple(replace(one, valid=one.repeat != 2) for one in found)
    (of_two,) = replace(load, results=spoilt).by_scenario()
    assert of_two.spread == pytest.approx(104.0 / 95.5 - 1) and not of_two.valid
    (of_one,) = replace(load, results=found[:1]).by_scenario()
    assert (of_one.spread, of_one.least, of_one.num_runs) == (None, None, 1)


def test_of_two_in_the_middle_the_worse_is_told_and_no_answer_is_worst() -> None:
    load = finished().load
    assert load
    single, server = load.results[:2]
    slow, fast = replace(single, p99_ms=9.0), replace(single, repeat=2, p99_ms=2.0)
    (of_two,) = replace(load, results=(fast, slow)).by_scenario()
    assert of_two.middle == slow
    low, high = replace(server, asked_per_s=50.0), replace(server, repeat=2, asked_per_s=70.0)
    assert replace(load, results=(high, low)).by_scenario()[0].middle == low
    none = replace(single, repeat=3, num_queries=0, p99_ms=0.0, valid=False)
    assert replace(load, results=(fast, slow, none)).by_scenario()[0].middle == slow


def test_threads_are_told_by_batch_size_and_those_that_are_quicker_advised() -> None:
    facts = finished()
    assert facts.load
    # A tenth of the median saved counts, less does not.
    advised = facts.load.advised_threads()
    assert [(one.batch_size, one.intra_op) for one in advised] == [(1, 1), (32, 0)]
    alone = replace(facts, load=replace(facts.load, results=(), wire=()))
    for each in (facts, alone):
        words = " ".join(Page(html_of(each)).words.split())
        assert "11 intra-op, 1 inter-op3002.95.2advised" in words
        assert "32as TensorFlow takes them30021.430advised" in words
        lines = "\n".join(report.summary_lines(report.to_json(each)))
        assert "advised for batch 1: 1 intra-op, 1 inter-op (p50 2.9 ms); batch 32: as" in lines
    assert "Under load" in words and "Asked by MLPerf" not in words


def test_run_that_measured_no_load_has_no_section_on_it() -> None:
    whole = finished()
    assert whole.load
    quiet = replace(whole, load=replace(whole.load, results=(), wire=(), threads=()))
    assert report.to_json(quiet)["load"] is None
    assert 'id="load"' not in html_of(quiet) and 'href="#load"' not in html_of(quiet)


def test_parts_of_the_rows_and_changed_rows_stand_in_the_report() -> None:
    facts = finished()
    page = html_of(facts)
    assert f"On parts of the rows; worst: label {INTENTS[0]}" in page
    assert "<td>87.4%</td><td>+4.0</td><td>6.2%</td>" in page
    quality = report.to_json(facts)["evaluate"]
    assert [part["column"] for part in quality["slices"]] == ["characters", "label"]
    assert quality["robustness"][1]["kind"] == "upper_case"


def test_answers_stand_in_a_table_that_needs_no_script() -> None:
    facts = finished()
    assert facts.evaluation
    page = html_of(facts)
    count = len(facts.evaluation.mistakes)
    assert f"The {count} most confident wrong answers, then the 1 least confident right" in page
    assert '<form id="answers-filter" hidden>' in page  # the script shows it
    table = page[page.index('<table id="answers">') :]
    assert (
        table.count('<tr class="was-wrong">') == count
        and table.count('<tr class="was-right">') == 1
    )
    assert facts.evaluation.mistakes[0].text in html_escapes.unescape(table)


def test_browser_is_told_to_run_no_script_but_our_own() -> None:
    page = html_of(finished())
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}';" in page
    assert "innerHTML" not in script and "eval" not in script
    without = html_of(stopped_after("train"))
    assert "<script" not in without


def test_incumbent_stands_beside_the_new_model() -> None:
    facts = finished()
    assert facts.evaluation
    incumbent = Incumbent(
        digest="0123456789abcdef",
        accuracy=Interval(value=0.9, low=0.88, high=0.92),
        macro_f1=Interval(value=0.89, low=0.87, high=0.91),
        gained=20,
        lost=12,
        difference=Interval(value=0.014, low=-0.004, high=0.031),
        p_value=0.22,
        unknown_labels=("refund",),
    )
    facts = replace(facts, evaluation=replace(facts.evaluation, incumbent=incumbent))
    words = " ".join(Page(html_of(facts)).words.split())
    assert "20 only the new model has right, 12 only the old one" in words
    assert "+1.4 points (-0.4 to +3.1, paired by row), no more than chance explains" in words
    assert "The incumbent never answers refund." in words
    lines = "\n".join(report.summary_lines(report.to_json(facts)))
    assert "incumbent   90.0%; the new model gains +1.4 points (-0.4 to +3.1), p = 0.22" in lines


def test_several_labels_are_told_with_micro_f1_and_average_precision() -> None:
    facts = finished()
    assert facts.evaluation
    f1 = Interval(value=0.71, low=0.7, high=0.72)
    several = SeveralLabels(
        micro_f1=f1,
        label_accuracy=0.97,
        average_precision=0.81,
        linear_micro_f1=0.6,
        labels_a_row=1.3,
        answered_a_row=1.2,
    )
    incumbent = Incumbent(
        digest="0123456789abcdef", accuracy=f1, macro_f1=f1, gained=2, lost=1, difference=f1,
        p_value=0.5, unknown_labels=(), micro_f1=Interval(value=0.701, low=0.69, high=0.71),
        micro_f1_difference=Interval(value=0.009, low=-0.01, high=0.03),
    )  # fmt: skip
    per_class = tuple(replace(one, average_precision=0.456) for one in facts.evaluation.per_class)
    evaluation = replace(
        facts.evaluation, several=several, incumbent=incumbent, per_class=per_class
    )
    facts = replace(facts, evaluation=evaluation)
    words = " ".join(Page(html_of(facts)).words.split())
    assert "Micro F1: 0.710 of the new model, 0.701 of the old one" in words
    assert "+0.009 (-0.010 to +0.030, paired by row)" in words
    assert "Average precision" in words and words.count("0.456") == len(per_class)
    lines = "\n".join(report.summary_lines(report.to_json(facts)))
    assert "in micro F1 +0.009 (-0.010 to +0.030)" in lines
    assert "Average precision" not in Page(html_of(finished())).words


def test_temperature_and_threshold_stand_in_the_report() -> None:
    facts = finished()
    assert facts.evaluation and facts.servable
    threshold = Threshold(
        label="refund", probability=0.7311, precision=0.95, recall=0.61, f1=0.743, num_rows=480
    )
    facts = replace(
        facts,
        servable=replace(facts.servable, temperature=1.84, threshold=threshold),
        evaluation=replace(facts.evaluation, uncalibrated_error=0.082),
    )
    words = " ".join(Page(html_of(facts)).words.split())
    assert "; 0.082 without temperature 1.84" in words
    assert "refund from 0.7311 on 480 validation rows precision 0.950, recall 0.610" in words


def test_model_of_another_runtime_is_called_as_what_it_is() -> None:
    whole = finished()
    assert whole.servable
    page = html_of(replace(whole, servable=replace(whole.servable, format="onnx")))
    assert "answering.load(Path(" in page and "tf.saved_model.load" not in page
    assert ">ONNX<" in page and "saved_model_cli" not in page


@pytest.mark.parametrize(
    ("usd_per_million", "told"),
    [(0.25, "Accuracy and cost in USD of the variants"), (None, "Accuracy and ms a text of the")],
)
def test_variants_are_drawn_over_what_they_cost(usd_per_million: float | None, told: str) -> None:
    facts = with_variants()
    assert facts.choice is not None
    variants = tuple(replace(v, usd_per_million=usd_per_million) for v in facts.choice.variants)
    drawn = html_of(replace(facts, choice=replace(facts.choice, variants=variants)))
    assert told in drawn and "Accuracy and p99 in ms of the variants" in drawn
