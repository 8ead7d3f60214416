"""The report of a run: facts for machines, a page for people, lines for a terminal."""

from __future__ import annotations

import base64
import hashlib
import html as html_escapes
import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from tpuline.components.contracts import (
    EpochRecord,
    Incumbent,
    Interval,
    LatencyProfile,
    ShownRow,
    Threshold,
)
from tpuline.pipeline import report
from tpuline.pipeline.report import RunFacts
from tpuline.pipeline.report_html import duration, render
from tpuline.pipeline.report_text import size

from .run_facts import INTENTS, failed_in, finished, stopped_after, with_variants

HOSTILE = '</pre></svg><script>alert(1)</script>"><img src=x onerror=alert(2)>'
VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(HTMLParser):
    """What a browser would see: tags, addresses, text, and whether every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self._open):
            self.words += data


def html_of(facts: RunFacts) -> str:
    return render(facts, report.to_json(facts))


def everything() -> list[RunFacts]:
    return [
        finished(),
        finished("refused"),
        with_variants(),
        finished("refused", tuple(f"intent_{n:02}" for n in range(77))),
        *(stopped_after(stage) for stage in ("preprocess", "train", "export")),
        *(failed_in(stage, "ValueError: x") for stage in ("preprocess", "train", "evaluate")),
    ]


def no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is not JSON")


def with_nan() -> RunFacts:
    """A run whose training diverged and whose measurements came to nothing."""
    whole = finished("refused")
    assert whole.evaluation and whole.model
    nan = math.nan
    epoch = EpochRecord(
        epoch=1, step=75, loss=nan, accuracy=nan, val_loss=math.inf, val_accuracy=nan,
        learning_rate=1e-3, seconds=1.0,
    )  # fmt: skip
    quiet = LatencyProfile(
        batch_size=1, num_requests=0, p50_ms=nan, p90_ms=nan, p99_ms=nan, texts_per_s=nan,
        samples_ms=(),
    )  # fmt: skip
    nothing = Interval(value=nan, low=nan, high=nan)
    return replace(
        whole,
        model=replace(whole.model, best_val_loss=nan, history=(epoch,)),
        evaluation=replace(
            whole.evaluation, accuracy=nothing, macro_f1=nothing, latency=(quiet,),
            linear_accuracy=nan, expected_calibration_error=nan,
        ),
    )  # fmt: skip


def test_json_of_a_finished_run_holds_what_consumers_read() -> None:
    document = json.loads(report.dumps(report.to_json(finished())))
    assert (document["name"], document["status"]) == ("support", "blessed")
    assert document["verdict"]["blessed"] is True and len(document["verdict"]["reasons"]) == 3
    assert [set(s) for s in document["stages"]] == [
        {"name", "key", "reused", "seconds", "status"}
    ] * 8
    train = document["data"]["splits"]["train"]
    assert (train["num_examples"], train["num_shards"]) == (4794, 4)
    assert list(train["label_counts"]) == sorted(INTENTS)
    assert document["data"]["num_rejected"] == 3
    assert document["data"]["rejected_by_reason"] == {"empty text": 2, "unknown label": 1}
    training = document["train"]
    assert (training["strategy"], training["num_replicas"]) == ("mirrored", 2)
    assert (training["precision"], training["examples_per_s"]) == ("float32", 318.4)
    assert (training["steps"], training["best_val_loss"]) == (450, 0.39)
    quality = document["evaluate"]
    assert quality["accuracy"] == {"value": 0.914, "low": 0.891, "high": 0.935}
    assert isinstance(quality["macro_f1"], float)
    assert set(quality["macro_f1_interval"]) == {"value", "low", "high"}
    assert quality["reference_accuracy"] == {"majority": 0.1797, "linear": 0.887}
    assert {"batch_1", "batch_8", "batch_32"} == set(quality["latency_ms"])
    assert {"p50", "p90", "p99"} <= set(quality["latency_ms"]["batch_32"])
    assert (quality["cold_start_s"], quality["peak_memory_bytes"]) == (1.93, 861_234_567)
    parity = document["parity"]
    assert (parity["max_abs_diff"], parity["num_texts"]) == (1.79e-7, 256)
    assert parity["token_mismatches"] == 0


def test_json_of_a_stopped_run_has_null_for_what_was_not_made() -> None:
    document = report.to_json(stopped_after("train"))
    assert document["status"] == "partial"
    assert document["data"] and document["train"]
    missing = ("verdict", "export", "parity", "evaluate", "choice")
    assert [document[key] for key in missing] == [None] * 5
    assert document["artifacts"]["servable"] is None


def test_json_is_sorted_and_keeps_a_list_of_numbers_on_one_line() -> None:
    written = report.dumps({"b": [1, 2.5, None], "a": {"text": "[\n  1\n]"}})
    assert written == '{\n  "a": {\n    "text": "[\\n  1\\n]"\n  },\n  "b": [1, 2.5, null]\n}\n'


def test_nan_becomes_null_in_json_and_a_dash_on_the_page() -> None:
    facts = with_nan()
    document = json.loads(report.dumps(report.to_json(facts)), parse_constant=no_constant)
    assert document["evaluate"]["accuracy"]["value"] is None
    assert document["train"]["history"][0]["val_loss"] is None
    words = Page(html_of(facts)).words
    assert "—" in words and not re.search(r"\b(nan|inf|None)\b", words)
    assert any("accuracy    —" in line for line in report.summary_lines(document))


@pytest.mark.parametrize("facts", everything(), ids=lambda f: f"{f.status}-{len(f.stages)}")
def test_page_loads_nothing_and_is_well_formed(facts: RunFacts) -> None:
    html = html_of(facts)
    page = Page(html)
    assert all(a.startswith("#") or a == "data:," for a in page.addresses)
    assert "://" not in html and "@import" not in html and "url(" not in html.replace("url(#", "")
    assert not {"iframe", "object", "embed", "base"} & set(page.tags)
    assert len(page.ids) == len(set(page.ids))
    assert len(html) < 600_000


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        (finished(), "Blessed"),
        (finished("refused"), "Refused"),
        (failed_in("train", "ValueError: no batch"), "Failed in train"),
        (stopped_after("export"), "Stopped after export"),
    ],
)
def test_verdict_stands_before_everything_else(facts: RunFacts, verdict: str) -> None:
    html = html_of(facts)
    assert f"<h1>{verdict}</h1>" in html
    assert html.index(f"<h1>{verdict}</h1>") < html.index('<section id="data">')
    assert report.summary_lines(report.to_json(facts))[0] == f"support: {verdict}"


def test_refused_page_names_the_failed_gate_first() -> None:
    words = Page(html_of(finished("refused"))).words
    failed = words.index("-0.016 is below the required 0.005")
    assert failed < words.index("3.734 is within the allowed 50.000") < words.index("Splits")


def test_failed_page_shows_the_error_and_only_the_sections_that_exist() -> None:
    html = html_of(failed_in("train", "ValueError: no batch fits"))
    assert "ValueError: no batch fits" in html
    assert 'id="data"' in html and 'id="training"' not in html and 'href="#quality"' not in html


def test_texts_from_data_cannot_become_markup() -> None:
    facts = finished("refused", (HOSTILE, *INTENTS[1:]))
    assert facts.evaluation
    mistake = ShownRow(text=HOSTILE, label=HOSTILE, predicted=HOSTILE, score=0.9)
    facts = replace(
        facts,
        name=HOSTILE,
        error=HOSTILE,
        warnings=(HOSTILE,),
        config={HOSTILE: HOSTILE},
        machine={HOSTILE: [HOSTILE]},
        evaluation=replace(facts.evaluation, mistakes=(mistake,), doubts=(mistake,)),
    )
    page = Page(html_of(facts))
    assert page.tags.count("script") == 1  # ours
    assert "img" not in page.tags and not page.handlers
    assert page.words.count("<script>alert(1)</script>") > 10


def test_half_a_surrogate_pair_in_a_text_is_written(tmp_path) -> None:
    facts = finished()
    assert facts.evaluation
    mistake = ShownRow(text="half \ud83d", label="refund", predicted="billing", score=0.9)
    facts = replace(facts, evaluation=replace(facts.evaluation, mistakes=(mistake,)))
    page = report.write(facts, tmp_path)
    assert "half \\ud83d" in page.read_text(encoding="utf-8")
    mistakes = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["evaluate"]
    assert mistakes["mistakes"][0]["text"] == "half \ud83d"


def test_same_facts_give_the_same_bytes(tmp_path) -> None:
    pages = [report.write(finished(), tmp_path / name) for name in ("one", "two")]
    assert pages[0].read_bytes() == pages[1].read_bytes()
    documents = [page.with_name("report.json").read_bytes() for page in pages]
    assert documents[0] == documents[1]


def test_write_replaces_an_older_report_and_leaves_nothing_else(tmp_path) -> None:
    folder = tmp_path / "runs" / "support"
    report.write(failed_in("export", "OSError: disk full"), folder)
    page = report.write(finished(), folder)
    assert sorted(p.name for p in folder.iterdir()) == ["report.html", "report.json"]
    assert "Blessed" in page.read_text(encoding="utf-8") and "disk full" not in page.read_text()


def test_few_labels_get_a_confusion_matrix_and_many_only_the_most_confused_pairs() -> None:
    few, many = (
        html_of(finished("refused", labels)) for labels in (INTENTS, tuple(map(str, range(77))))
    )
    assert few.count('class="right') == len(INTENTS)
    assert 'class="right' not in many
    assert "Most frequent confusions" in few and "Most frequent confusions" in many
    assert "The other 65 labels" in many


def test_page_shows_how_to_call_the_model_with_its_own_inputs() -> None:
    facts = finished()
    assert facts.servable
    words = Page(html_of(facts)).words
    assert "tf.saved_model.load('runs/export/02f3a9c1d7e45b8a/model/1')" in words
    assert "text_pair" not in words
    pairs = replace(facts, servable=replace(facts.servable, has_text_pair=True))
    assert "text_pair=tf.constant" in Page(html_of(pairs)).words


def test_figures_take_their_colors_from_the_page_and_describe_themselves() -> None:
    html = html_of(finished())
    figures = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(figures) == 5
    for figure in figures:
        assert not re.search(r"#[0-9a-fA-F]{6}\b", figure)
        assert 'role="img" aria-label="' in figure and "var(--" in figure
    assert "epoch 5 kept" in html


def test_summary_tells_the_run_in_a_few_plain_lines() -> None:
    lines = report.summary_lines(report.to_json(finished("refused")))
    assert 12 <= len(lines) <= 28
    text = "\n".join(lines)
    assert "87.1% (84.8% to 89.2%) on 601 test rows; linear 88.7%, majority 18.0%" in text
    assert text.index("batch 1:") < text.index("batch 8:") < text.index("batch 32:")
    assert "runs/export/02f3a9c1d7e45b8a/model/1" in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (59.96, "1 min 0 s"), (75, "1 min 15 s"), (7500, "2 h 5 min"), (None, "— s")],
)
def test_duration_reads_like_speech(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("num_bytes", "words"),
    [(0, "0 B"), (999, "999 B"), (4_213_887, "4.21 MB"), (999_600, "1 MB"), (2.5e9, "2.5 GB")],
)
def test_size_picks_the_unit(num_bytes: float, words: str) -> None:
    assert size(num_bytes) == words


def test_importing_the_report_loads_neither_jinja_nor_matplotlib() -> None:
    code = "import sys, tpuline.pipeline.report as r, tpuline.pipeline.report_html;"
    code += "sys.exit(bool({'jinja2', 'matplotlib', 'numpy', 'tensorflow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_page_says_that_the_embedded_sample_is_made_up() -> None:
    made_up = replace(finished(), config={"preprocess": {"source": {"train": "sample:support"}}})
    real = replace(finished(), config={"preprocess": {"source": {"train": "rows.csv"}}})
    assert "made up by a program" in render(made_up, report.to_json(made_up))
    assert "made up by a program" not in render(real, report.to_json(real))


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


def test_model_without_variants_has_no_section_on_them() -> None:
    page = html_of(finished())
    assert 'id="variants"' not in page and "Blessed<" in page


def test_load_is_told_by_target_and_scenario_with_the_spread_of_repeats() -> None:
    facts = finished()
    document = report.to_json(facts)
    assert [result["target"] for result in document["load"]["results"]][:2] == [
        "in_process", "triton+grpc",
    ]  # fmt: skip
    page = html_of(facts)
    words = " ".join(Page(page).words.split())
    assert "103 94 to 120" in words and "within 50 ms" in words
    assert document["load"]["rate_spreads"] == {"triton+grpc": pytest.approx(0.267, abs=1e-3)}
    assert "104 spread 27%: unsteady" in words and '<small class="fail">spread' in page
    assert "triton+http, multi_stream: 2 of 800 texts got no answer" in words
    assert "answers otherwise than in process: '<b>': a probability differs" in words
    assert "answers 656 texts, hostile ones among them, as in process" in words
    assert "<refused>" not in page
    lines = "\n".join(report.summary_lines(document))
    assert (
        "triton+grpc server: 103 texts/s (94 to 120 in 3), p50 2.94, p99 48.1 ms, rates found "
        "differ by 27%, too much to rely on" in lines
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
    assert "spread 2%" in words and "unsteady" not in words
    lines = "\n".join(report.summary_lines(report.to_json(steady)))
    assert "rates found differ by 2%" in lines and "too much" not in lines


def test_spread_is_of_the_repeats_that_count() -> None:
    load = finished().load
    assert load
    single, *found = load.results
    spoilt = [replace(one, valid=one.repeat != 2) for one in found]
    assert replace(load, results=(single, *spoilt)).rate_spreads() == {
        "triton+grpc": pytest.approx(104.0 / 95.5 - 1)
    }
    assert replace(load, results=(single, found[0])).rate_spreads() == {}


def test_run_that_measured_no_load_has_no_section_on_it() -> None:
    whole = finished()
    assert whole.load
    quiet = replace(whole, load=replace(whole.load, results=(), wire=()))
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
