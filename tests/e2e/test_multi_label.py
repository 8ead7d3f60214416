"""A data set whose rows have none, one or several labels, from its texts to a bundle."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tpuline.components import texts
from tpuline.components.contracts import ShardSet
from tpuline.components.evaluate import incumbent
from tpuline.components.serving import targets
from tpuline.components.serving.acceptance import examine
from tpuline.components.serving.bundle import read as read_bundle
from tpuline.pipeline import api, config
from tpuline.pipeline.errors import ConfigError

TOPICS = {
    "app": ("crash", "login", "screen", "update"),
    "billing": ("invoice", "charge", "refund", "price"),
    "delivery": ("parcel", "courier", "late", "track"),
}
FILLERS = ("please", "could", "you", "help", "me", "today", "thanks", "hello", "again", "the")
CONFIG: dict[str, Any] = {
    "preprocess": {
        "task": "multi_label",
        "source": {"train": "rows.csv", "label_separator": "|", "keep_columns": ["shop"]},
        "cut": {"validation": 0.2, "test": 0.3},
        "sequence_length": 24,
        "vocabulary": {"size": 300},
    },
    "train": {
        "model": {"type": "bag", "embedding_dim": 16, "hidden_dim": 16},
        "epochs": 8,
        "learning_rate": 0.02,
        "global_batch_size": 16,
    },
    "export": {"threshold": {"metric": "f1"}},
    "evaluate": {
        "robustness_rows": 20,
        "latency": {"num_requests": 20, "batch_sizes": [1]},
        "slices": {"columns": ["shop"], "min_rows": 10},
    },
    "judge": {"min_micro_f1": 0.8, "min_average_precision": 0.8},
    "handoff": {"samples": 8, "max_batch_size": 1},
}

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Ran:
    """A run that ended."""

    folder: Path
    facts: dict[str, Any]


def write_rows(path: Path) -> None:
    """Every label has words of its own; a third of the rows has none."""
    chance = random.Random(4)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label", "shop"))
        for number in range(500):
            labels = [label for label in TOPICS if chance.random() < 0.35]
            words = [chance.choice(TOPICS[label]) for label in labels for _ in range(2)]
            words += [*chance.choices(FILLERS, k=6), f"n{number}"]
            chance.shuffle(words)
            writer.writerow((" ".join(words), "|".join(labels), chance.choice("ab")))


def tpuline(*arguments: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "tpuline.pipeline.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("several")
    write_rows(folder / "rows.csv")
    (folder / "several.yaml").write_text(yaml.safe_dump({"data_dir": str(folder), **CONFIG}))
    tpuline("run", str(folder / "several.yaml"), "--root", str(folder / "runs"))
    return Ran(folder, api.read_report(folder / "runs" / "several"))


def test_run_is_blessed_by_the_gates_of_the_task(ran: Ran) -> None:
    assert ran.facts["status"] == "blessed"
    gates = {gate["name"]: gate["passed"] for gate in ran.facts["verdict"]["gates"]}
    assert gates["min_micro_f1"] and gates["min_average_precision"] and gates["parity"]
    quality = ran.facts["evaluate"]
    assert quality["several"]["micro_f1"]["value"] > 0.8
    assert quality["confusion_matrix"] == [] and len(quality["per_class"]) == 3
    assert quality["several"]["linear_micro_f1"] > 0.8
    assert quality["reference_accuracy"]["majority"] < quality["reference_accuracy"]["linear"]
    parts = {(part["column"], part["value"]) for part in quality["slices"]}
    assert {("label", "app"), ("label", "(no label)"), ("shop", "a")} <= parts
    page = (ran.folder / "runs" / "several" / "report.html").read_text()
    assert "Micro F1" in page and "Confusion matrix" not in page


def test_training_tells_micro_f1_of_every_epoch(ran: Ran) -> None:
    history = ran.facts["train"]["history"]
    assert history[-1]["val_micro_f1"] > history[0]["val_micro_f1"]
    assert history[-1]["val_loss"] < history[0]["val_loss"]
    folder = ran.folder / "runs" / "several"
    page = (folder / "report.html").read_text()
    assert "Val. label accuracy" in page and "Val. micro F1" in page
    assert "val_label_accuracy" in (folder / "events.jsonl").read_text()


def test_bundle_is_accepted_and_tells_the_thresholds(ran: Ran) -> None:
    bundle = ran.folder / "runs" / "several" / "handoff"
    with ExitStack() as stack:  # in this process, which has TensorFlow anyway
        checks = [*examine(read_bundle(bundle), targets.parse(targets.IN_PROCESS), stack)]
    assert all(check.passed is not False for check in checks), checks
    assert {"samples", "accuracy", "warm-up"} <= {check.name for check in checks}
    marker = json.loads((bundle / "HANDOFF.json").read_text())
    assert len(marker["thresholds"]) == 3 and marker["threshold"] is None
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "micro F1" in card and "each answered from its probability on: app 0." in card


def test_predict_answers_the_labels_of_each_row(ran: Ran) -> None:
    source, out = ran.folder / "rows.csv", ran.folder / "answers"
    model = str(ran.folder / "runs" / "several" / "handoff")
    api.predict(model, [str(source)], out, overrides=["output_format=jsonl"])
    (shard,) = out.glob("predictions-*.jsonl")
    answers = [json.loads(line)["label"] for line in shard.read_text().splitlines()]
    with source.open() as file:
        true = [row["label"] for row in csv.DictReader(file)]
    assert len(answers) == 500 and "" in answers and "app|billing" in answers
    assert np.mean([answer == label for answer, label in zip(answers, true, strict=True)]) > 0.7


def test_model_is_as_good_as_itself_where_it_serves_already(ran: Ran) -> None:
    shards: ShardSet = api.open_artifact(ran.facts["artifacts"]["shards"])
    found = incumbent.located(str(ran.folder / "runs" / "several" / "handoff"), ran.folder)
    answered = incumbent.answers(
        found,
        shards,
        texts.windows(shards, "test"),
        num_examples=shards.split("test").num_examples,
        batch_size=16,
        progress=lambda done: None,
    )
    stored = np.load(Path(ran.facts["artifacts"]["evaluation"]) / "predictions.npz")
    np.testing.assert_array_equal(answered, stored["predicted"])
    assert stored["predicted"].dtype == bool and stored["labels"].shape == answered.shape


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("export.threshold={label: app}", "export.threshold.label: must be one of the two labels"),
        ("preprocess.source.label_separator=null", "label_separator: must be given for task"),
        ("preprocess.source.label_separator=''", "label_separator: must be at least one character"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(override: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        config.parse(CONFIG, [override])


def test_gates_of_several_labels_are_refused_for_one() -> None:
    data = {"preprocess": {"source": {"train": "rows.csv"}}}
    with pytest.raises(ConfigError, match=r"judge.min_micro_f1: must be null unless"):
        config.parse(data, ["judge.min_micro_f1=0.5"])
    with pytest.raises(ConfigError, match=r"export.threshold.label: must be one of the two labels"):
        config.parse(data, ["export.threshold={metric: f1}"])
