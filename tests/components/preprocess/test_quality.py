"""What the stage finds in its rows, and what it does about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tpuline.components.preprocess import stage
from tpuline.components.preprocess.duplicates.found import DuplicatesConfig
from tpuline.components.preprocess.leakage import Leakage
from tpuline.components.preprocess.privacy import Privacy
from tpuline.components.preprocess.statistics.schema import SchemaConfig
from tpuline.components.reading.source import Source

from .stage_runs import (
    Log,
    config,
    contents,
    numbered_rows,
    preprocess,
    records,
    rejects,
    texts,
    write_csv,
)

LONG = " ".join(f"word{i}" for i in range(40))
SOURCE = Source(train="train.csv", validation="validation.csv", test="test.csv")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Rows of train that are repeated, in train and in the other splits."""
    repeated = [("Fine text", "pos"), ("fine  text", "pos"), ("FINE TEXT", "neg")]
    leaked = [("seen in test", "pos"), ("seen in <b>validation</b>", "neg")]
    near = [(f"{LONG} one", "pos"), (f"{LONG} two", "pos"), (f"{LONG} three", "neg")]
    write_csv(tmp_path / "train.csv", [*numbered_rows(60), *repeated, *leaked, *near])
    write_csv(tmp_path / "validation.csv", [("Seen in validation", "neg"), ("other", "pos")])
    write_csv(tmp_path / "test.csv", [("seen in test", "pos"), (f"{LONG} three!", "neg")])
    return tmp_path


def run(data: Path, name: str = "out", log: Log | None = None, **changes: Any) -> Any:
    made = config(**{"source": SOURCE, "cut": stage.Cut(validation=0.0, test=0.0)} | changes)
    return preprocess(data, data / name, made, log)


def set_aside(data: Path, name: str = "out") -> dict[tuple[str, int], str]:
    return {(line["file"], line["row"]): line["reason"] for line in rejects(data / name)}


def test_repeats_and_leaks_are_left_out_of_train_with_their_reason(data: Path) -> None:
    shards = run(data)
    assert set_aside(data) == {
        ("train.csv", 63): "duplicate",
        ("train.csv", 65): "in_test",
        ("train.csv", 66): "in_validation",
        ("train.csv", 67): "near_test",
        ("train.csv", 68): "near_test",
        ("train.csv", 69): "near_test",
    }
    detail = {line["row"]: line["detail"] for line in rejects(data / "out")}
    assert detail[63] == "like train.csv:62" and detail[66] == "like validation.csv:2"
    assert shards.split("train").num_examples == 60 + 8 - 6
    assert (shards.split("validation").num_examples, shards.split("test").num_examples) == (2, 2)


def test_repeats_are_kept_and_told_when_only_a_report_is_wanted(data: Path) -> None:
    log = Log()
    shards = run(data, log=log, duplicates=DuplicatesConfig(exact="report", across="report"))
    assert set_aside(data) == {}
    assert shards.split("train").num_examples == 68
    assert any("train: 2 rows repeat a text" in line for line in log.infos)
    assert "train and test: 1 texts in both, 3 near-duplicates" in log.infos
    found = (data / "out" / shards.statistics_file).read_text(encoding="utf-8")
    assert "Repeats inside a split" in found and "train.csv:62" in found
    ids = [row["id"] for row in texts(shards, "train")]
    assert len(set(ids)) == 68
    assert sum(content_id.endswith("-3") for content_id in ids) == 1


def test_near_repeats_inside_train_are_dropped_when_asked(data: Path) -> None:
    shards = run(data, duplicates=DuplicatesConfig(near="drop", across="report"))
    reasons = list(set_aside(data).values())
    assert reasons.count("near_duplicate") == 2
    assert sum(LONG in row["text"] for row in texts(shards, "train")) == 1


def test_repeats_that_must_not_be_name_both_rows(data: Path) -> None:
    with pytest.raises(ValueError, match=r"train\.csv:62.*train\.csv:6[34]|train\.csv:6[34]"):
        run(data, duplicates=DuplicatesConfig(exact="error"))


def test_a_column_that_gives_the_label_away_is_called_out(tmp_path: Path) -> None:
    rows = [(text, label, "9" if label == "pos" else "2") for text, label in numbered_rows(300)]
    write_csv(tmp_path / "train.csv", rows, columns="text label stars")
    log = Warned()
    preprocess(tmp_path, tmp_path / "out", config(), log)
    assert any("'stars'" in warning for warning in log.warnings)
    with pytest.raises(ValueError, match="stars"):
        preprocess(tmp_path, tmp_path / "no", config(leakage=Leakage(columns="fail")))
    quiet = preprocess(tmp_path, tmp_path / "off", config(leakage=Leakage(columns="off")))
    assert quiet.split("train").num_examples


def test_what_is_redacted_is_nowhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    secrets = ("jo.doe@example.org", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00")
    rows = [(f"{text}, says {secrets[i % 3]}", label) for i, (text, label) in
            enumerate(numbered_rows(90))]  # fmt: skip
    hidden = "card <i>4111</i><br>1111<br>1111<br>1111 today"  # seen once it is clean
    bad = ["plain text,jo.doe@example.org"]  # an address where the label should be
    write_csv(tmp_path / "train.csv", [*rows, (hidden, "pos")])
    write_csv(tmp_path / "test.csv", [*rows[:9], tuple(bad[0].split(","))])
    made = config(
        source=Source(train="train.csv", test="test.csv"),
        privacy=Privacy(redact=("email", "card", "iban")),
        duplicates=DuplicatesConfig(exact="report", across="report"),
        max_reject_share=0.2,
        sequence_length=64,
    )
    log = Log()
    shards = preprocess(tmp_path, tmp_path / "out", made, log)
    counts = {count.reason: count.count for count in shards.redacted}
    assert counts["email"] >= 31 and counts["card"] >= 30 and counts["iban"] >= 30
    shown = b"\n".join(contents(tmp_path / "out").values()) + " ".join(log.infos).encode()
    shown += repr([texts(shards, split.name) for split in shards.splits]).encode()
    shown += "".join(capfd.readouterr()).encode()
    for secret in ("jo.doe", "1111", "0532"):
        assert secret.encode() not in shown
    tokens = (tmp_path / "out" / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
    assert "email" in tokens
    assert [line["reason"] for line in rejects(tmp_path / "out")] == ["unknown_label"]
    assert records(shards, "train")


def test_labels_and_other_columns_are_redacted(tmp_path: Path) -> None:
    people = ("jo.doe@example.org", "ann")
    rows = [(text, people[label == "pos"], people[i % 2]) for i, (text, label) in
            enumerate(numbered_rows(90))]  # fmt: skip
    write_csv(tmp_path / "train.csv", rows, columns="text label by")
    privacy = Privacy(redact=("email",))
    shards = preprocess(tmp_path, tmp_path / "out", config(privacy=privacy))
    assert shards.label_names == ("[EMAIL]", "ann")
    assert shards.redacted == ()  # of the texts, which have none
    assert b"jo.doe" not in b"".join(contents(tmp_path / "out").values())

    write_csv(tmp_path / "train.csv", [(text, people[0]) for text, _ in numbered_rows(90)])
    with pytest.raises(ValueError, match=r"two labels; received '\[EMAIL\]'"):
        preprocess(tmp_path, tmp_path / "no", config(privacy=privacy))


def test_reject_files_can_be_told_to_show_only_a_hash(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", numbered_rows(80))
    write_csv(tmp_path / "test.csv", [*numbered_rows(4), ("a", "private label")])
    made = config(
        source=Source(train="train.csv", test="test.csv"),
        privacy=Privacy(rejects="hash"),
        max_reject_share=0.2,
    )
    preprocess(tmp_path, tmp_path / "out", made)
    unknown = [line for line in rejects(tmp_path / "out") if line["reason"] == "unknown_label"]
    assert len(unknown) == 1 and "private" not in json.dumps(unknown)


def test_statistics_are_those_of_the_rows(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", numbered_rows(400))
    shards = preprocess(tmp_path, tmp_path / "out", config())
    found = json.loads((tmp_path / "out" / shards.statistics_file).read_text(encoding="utf-8"))
    for split in shards.splits:
        part = found["splits"][split.name]
        assert part["num_rows"] == split.num_examples
        assert part["label_counts"] == list(split.label_counts)
        assert sum(part["length_counts"]) == split.num_examples


def test_data_unlike_the_schema_fails_or_warns_with_the_numbers(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", numbered_rows(400))
    shards = preprocess(tmp_path, tmp_path / "first", config())
    schema = tmp_path / "schema.yaml"
    schema.write_bytes((tmp_path / "first" / shards.schema_file).read_bytes())
    again = config(schema=SchemaConfig(file="schema.yaml"))
    preprocess(tmp_path, tmp_path / "same", again)
    assert yaml.safe_load(schema.read_text(encoding="utf-8"))["task"] == "classification"

    shifted = [(text, "new" if i % 2 else "pos") for i, (text, _) in enumerate(numbered_rows(400))]
    write_csv(tmp_path / "train.csv", shifted)
    with pytest.raises(ValueError, match=r"preprocess\.schema.*'new'"):
        preprocess(tmp_path, tmp_path / "fails", again)
    log = Warned()
    warned = config(schema=SchemaConfig(file="schema.yaml", on_violation="warn"))
    preprocess(tmp_path, tmp_path / "warns", warned, log)
    assert any("'new'" in warning for warning in log.warnings)


def test_rows_set_aside_when_shards_are_written_count_for_the_schema(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", numbered_rows(400))
    shards = preprocess(tmp_path, tmp_path / "first", config())
    schema = tmp_path / "schema.yaml"
    schema.write_bytes((tmp_path / "first" / shards.schema_file).read_bytes())
    unknown = [(f"other {i}", "pos" if i % 2 else "learnt from train") for i in range(40)]
    write_csv(tmp_path / "test.csv", unknown)
    made = config(
        source=Source(train="train.csv", test="test.csv"),
        max_reject_share=0.5,
        schema=SchemaConfig(file="schema.yaml"),
    )
    with pytest.raises(ValueError, match=r"preprocess\.schema: .*4\.55%"):
        preprocess(tmp_path, tmp_path / "out", made)


class Warned(Log):
    """Keeps warnings too."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def warning(self, message: str, **facts: Any) -> None:
        self.warnings.append(message)
