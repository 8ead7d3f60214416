"""One command from raw text to a judged SavedModel."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tpuline.pipeline import api

from .conftest import Shrunk

STAGES = [
    "preprocess", "train", "reference", "export", "evaluate", "judge", "choose", "load", "handoff",
]  # fmt: skip


def report(demo: Shrunk) -> dict:
    """report.json of the last run."""
    return api.read_report(demo.root / "demo")


def test_run_ends_with_a_verdict_and_a_page(finished: Shrunk) -> None:
    facts = report(finished)
    assert facts["status"] == "blessed"
    assert facts["verdict"]["blessed"] is True
    assert [stage["name"] for stage in facts["stages"]] == STAGES
    assert facts["train"]["num_replicas"] == 2
    assert facts["train"]["strategy"] == "cpu"
    assert facts["parity"]["token_mismatches"] == 0
    assert facts["parity"]["num_texts"] >= 256
    assert facts["parity"]["max_abs_diff"] <= 1e-5
    low, value, high = (facts["evaluate"]["accuracy"][k] for k in ("low", "value", "high"))
    assert low <= value <= high
    for batch in ("batch_1", "batch_32"):
        latency = facts["evaluate"]["latency_ms"][batch]
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"]
        assert 0 < latency["tokenizer_p50"] < latency["p90"]
    assert (finished.root / "demo" / "report.html").stat().st_size > 10_000


def test_no_row_is_lost_on_the_way(finished: Shrunk) -> None:
    data = report(finished)["data"]
    kept = sum(split["num_examples"] for split in data["splits"].values())
    assert kept + data["num_rejected"] == 1500


def test_second_run_reuses_everything(finished: Shrunk) -> None:
    done = finished.run()
    assert done.returncode == 0, done.stderr
    assert [stage["reused"] for stage in report(finished)["stages"]] == [True] * len(STAGES)


@pytest.mark.parametrize(
    ("override", "reused"),
    [
        ("name=other", STAGES),
        ("data_dir=/", STAGES),
        ("evaluate.num_mistakes=3", STAGES[:4]),
        ("judge.min_accuracy=0.5", STAGES[:5]),
        ("export.version=2", STAGES[:3]),
        ("train.global_batch_size=64", ["preprocess", "reference"]),
        ("hardware.replicas=4", ["preprocess", "reference"]),
        ("seed=21", STAGES[:1]),
        ("preprocess.sequence_length=32", []),
    ],
)
def test_change_reruns_what_depends_on_it_and_nothing_else(
    finished: Shrunk, override: str, reused: list[str]
) -> None:
    planned = api.plan(finished.load(override), root=finished.root)
    assert [step.stage for step in planned if step.reason is None] == reused
    rerun = [step for step in planned if step.reason is not None]
    if rerun:
        assert override.partition("=")[0].rpartition(".")[2] in str(rerun[0].reason)
    for step in rerun[1:]:  # evaluate uses the seed itself, too
        assert "input changes" in str(step.reason) or override.startswith("seed")


def test_refused_model_exits_with_3_and_says_why(finished: Shrunk) -> None:
    done = finished.run("name=strict", "judge={min_accuracy: 1.0}")
    assert done.returncode == 3, done.stderr
    facts = api.read_report(finished.root / "strict")
    assert facts["status"] == "refused"
    assert "min_accuracy" in facts["verdict"]["reasons"][0]
    assert [stage["reused"] for stage in facts["stages"]] == [True] * 5 + [False] * 4


def test_until_stops_after_a_stage(finished: Shrunk) -> None:
    result = api.run(finished.load("name=half"), root=finished.root, until="train")
    assert result.status == "partial"
    assert list(result.artifacts) == STAGES[:2]
    assert api.read_report(result.folder)["evaluate"] is None


def test_saved_model_answers_where_neither_keras_nor_we_are(finished: Shrunk) -> None:
    servable = next(finished.root.glob("export/*/*/1"))
    program = (
        "import sys, json, tensorflow as tf, tensorflow_text\n"
        "served = tf.saved_model.load(sys.argv[1]).signatures['serving_default']\n"
        "out = served(text=tf.constant(['where is my order', 'caf\\u00e9 \\U0001f600 <br/>']))\n"
        "assert not [m for m in sys.modules if m.split('.')[0] in ('keras_hub', 'tpuline')]\n"
        "print(json.dumps({k: v.numpy().tolist() for k, v in out.items() if k != 'label'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(servable)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    out = json.loads(done.stdout.splitlines()[-1])
    assert len(out["score"]) == len(out["probabilities"]) == 2
    assert sum(out["probabilities"][0]) == pytest.approx(1.0, abs=1e-5)


def test_show_prints_the_verdict(finished: Shrunk) -> None:
    tpuline = [sys.executable, "-m", "tpuline.pipeline.cli", "show", str(finished.root / "demo")]
    done = subprocess.run(tpuline, capture_output=True, text=True)
    assert done.returncode == 0
    assert "blessed" in done.stdout.lower()


def test_pipe_that_is_closed_early_is_no_crash(finished: Shrunk) -> None:
    command = f"{sys.executable} -m tpuline.pipeline.cli show {finished.root / 'demo'} | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "demo: Blessed" in done.stdout
    assert "Traceback" not in done.stderr


def test_report_warns_where_nothing_was_asked_and_the_linear_reference_is_better(
    finished: Shrunk,
) -> None:
    config = finished.load("name=ungated", "judge={}", "train.epochs=2", "hardware.replicas=1")
    for reused in (False, True):
        result = api.run(config, root=finished.root)
        assert result.stages[-1].reused is reused
        warnings = " ".join(api.read_report(result.folder)["warnings"])
        assert "no quality gate is set" in warnings
        assert "the linear reference is better" in warnings


def test_damaged_artifact_is_made_again(finished: Shrunk) -> None:
    config = finished.load("name=mend", "preprocess.source.max_rows_per_file=1400")
    made = api.run(config, root=finished.root, until="preprocess")
    shard = next((finished.root / "preprocess" / made.stages[0].key).glob("train/*.tfrecord"))
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    assert "damaged" in str(api.plan(config, root=finished.root)[0].reason)
    again = api.run(config, root=finished.root, until="preprocess")
    assert not again.stages[0].reused
    assert shard.read_bytes() == whole
