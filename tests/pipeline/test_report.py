"""The report of a run: facts for machines, a page for people, lines for a terminal."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from tpuline.components.contracts import (
    EpochRecord,
    Interval,
    LatencyProfile,
    ShownRow,
)
from tpuline.pipeline import report
from tpuline.pipeline.report import RunFacts
from tpuline.pipeline.report_html import duration, render
from tpuline.pipeline.report_text import size

from .report_page import HOSTILE, Page, html_of
from .run_facts import INTENTS, failed_in, finished, stopped_after, with_variants


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
    ] * 9
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


def test_report_that_tells_of_no_variants_verdicts_is_shown() -> None:
    document = report.to_json(stopped_after("evaluate"))
    del document["verdicts"]  # as before there were any
    assert report.summary_lines(document)[0] == "support: Stopped after evaluate"


def test_training_of_several_labels_tells_what_its_accuracy_is_of() -> None:
    whole = finished()
    assert whole.model
    history = tuple(replace(e, micro_f1=0.5, val_micro_f1=0.625) for e in whole.model.history)
    one, several = (
        html_of(replace(whole, model=replace(whole.model, history=epochs)))
        for epochs in (whole.model.history, history)
    )
    assert "Label accuracy while training" in several and "0.625" in several
    for name in ("Label accuracy", "Val. label accuracy", "Val. micro F1"):
        assert f'<th scope="col">{name}</th>' in several and name not in one
    assert 'id="variants"' not in one + several


def test_summary_tells_the_run_in_a_few_plain_lines() -> None:
    lines = report.summary_lines(report.to_json(finished("refused")))
    assert 12 <= len(lines) <= 30
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
