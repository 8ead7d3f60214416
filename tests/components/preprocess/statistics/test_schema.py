"""A schema is inferred, written for people, read back, and finds what is not as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tpuline.components.preprocess.statistics import schema_checks, schema_file
from tpuline.components.preprocess.statistics.schema import (
    Schema,
    SchemaConfig,
    Violation,
    check,
    infer,
    widened,
)
from tpuline.components.preprocess.statistics.sums import Statistics

from .made_statistics import ALL, Row, statistics

NAMES = ("delivery", "money")
ROWS: list[Row] = [
    ("the parcel is late . please refund my card", 0),
    ("please refund my card", 1),
    ("thanks", 0),
    ("my invoice is late", 1),
] * 100
READ: dict[str, Any] = {"num_read": 400, "rejected": {}}


def inferred(rows: list[Row] = ROWS, **changes: Any) -> Schema:
    given = {"task": "classification", "label_names": NAMES, **READ} | changes
    return infer(statistics(rows, shares=ALL), **given)


def checked(
    rows: list[Row], *, split: str = "validation", num_labels: int = 2, **changes: Any
) -> tuple[Violation, ...]:
    found = statistics(rows, shares=ALL, num_labels=num_labels)
    given = {"task": "classification", "label_names": NAMES, **READ} | changes
    return check(inferred(), {split: found}, **given)


def keys(violations: tuple[Violation, ...]) -> list[str]:
    return [violation.what for violation in violations]


def test_rows_that_it_was_inferred_from_meet_it() -> None:
    assert checked(ROWS, split="train") == ()
    assert checked(ROWS[:40]) == ()


def test_new_label_is_found() -> None:
    rows = [*ROWS, ("thanks", 2)]
    (found,) = checked(rows, num_labels=3, label_names=(*NAMES, "praise"))
    assert (found.what, found.expected, found.received) == (
        "labels.shares", "delivery, money", "praise"
    )  # fmt: skip
    assert "'praise' (1 rows)" in found.message and found.split == "validation"


def test_name_without_rows_is_no_new_label() -> None:
    assert checked(ROWS, num_labels=3, label_names=(*NAMES, "praise")) == ()


def test_shift_of_labels_is_found_with_its_distance() -> None:
    rows: list[Row] = [(text, int(i % 5 > 0)) for i, (text, _) in enumerate(ROWS)]
    (found,) = checked(rows, split="test")
    assert found.what == "labels.max_shift" and found.expected == 0.1
    assert isinstance(found.received, float) and 0.1 < found.received < 0.5
    assert found.message.startswith("test: label shares are 0.")


def test_labels_that_are_lost_evenly_are_found() -> None:
    """Of multi-label data, where an empty cell is no missing one."""
    found = statistics(ROWS, shares=ALL, num_labels=2)
    half_without = replace(found, num_rows=2 * found.num_rows)
    assert list(schema_checks.labels(inferred(), "test", found, NAMES)) == []
    (lost,) = schema_checks.labels(inferred(), "test", half_without, NAMES)
    assert (lost.what, lost.expected, lost.received) == ("labels.max_shift", 1.0, 0.5)
    assert lost.message == "test: a row has 0.50 labels in the mean where 1.00 were expected"


def test_few_rows_of_one_label_are_chance() -> None:
    assert checked(ROWS[1::4][:2]) == ()


def test_shift_of_lengths_is_found() -> None:
    rows: list[Row] = [(f"{text} {text}", label) for text, label in ROWS]
    found = checked(rows)
    assert "lengths.max_shift" in keys(found)
    assert "mean" in found[0].message


def test_more_cut_rows_are_found() -> None:
    rows: list[Row] = [("late " * 40, label) for _, label in ROWS[:40]] + ROWS
    assert "lengths.max_truncated_share" not in keys(checked(rows[:10] + ROWS))
    found = checked(rows[:40] + ROWS[:200])
    cut = next(v for v in found if v.what == "lengths.max_truncated_share")
    assert cut.expected == 0.1 and cut.received == pytest.approx(40 / 240)


def test_rows_cut_elsewhere_ask_for_a_new_schema() -> None:
    text = schema_file.to_yaml(inferred()).replace("sequence_length: 16", "sequence_length: 32")
    schema = schema_file.parse(text.encode(), source="s")
    found = check(
        schema, {"train": statistics(ROWS)}, task="classification", label_names=NAMES, **READ
    )
    assert keys(found) == ["lengths.sequence_length"] and "infer a new schema" in found[0].message


def test_jump_of_unknown_tokens_is_found() -> None:
    rows: list[Row] = [(f"{text} zzz", label) for text, label in ROWS[:40]] + ROWS
    found = next(v for v in checked(rows) if v.what == "max_unknown_rate")
    assert found.expected == 0.01
    assert found.received == pytest.approx(40 / (440 * 4.5 + 40), rel=0.05)


def test_train_that_leaves_most_of_the_vocabulary_unused_is_found() -> None:
    rows: list[Row] = [("thanks", 0), ("thanks", 1)] * 5
    assert "min_coverage" in keys(checked(rows, split="train"))
    assert "min_coverage" not in keys(checked(rows, split="test"))


def test_new_script_and_language_are_found() -> None:
    rows: list[Row] = [*ROWS[:100], *[("москва встречает гостей столицы тепло", 0)] * 30]
    found = {v.what: v for v in checked(rows)}
    assert found["scripts.names"].received == "Cyrillic"
    assert found["languages.names"].received == "ru"


def test_rejected_and_missing_rows_are_found() -> None:
    found = checked(ROWS, num_read=400, rejected={"missing_label": 20, "malformed_row": 20})
    assert keys(found) == ["max_reject_share", "max_missing_share.label"]
    assert [v.received for v in found] == [0.1, 0.05]
    assert {v.split for v in found} == {""}
    assert checked(ROWS, rejected={"malformed_row": 4}) == ()


def test_another_task_is_one_violation() -> None:
    assert keys(checked(ROWS, task="language_model")) == ["task"]


def test_unlabelled_data_has_a_schema_too() -> None:
    rows: list[Row] = [(text, None) for text, _ in ROWS]
    schema = inferred(rows, task="language_model", label_names=())
    assert schema.labels is None
    assert schema_file.parse(schema_file.to_yaml(schema).encode(), source="s") == schema


def test_bounds_leave_room_above_what_was_seen() -> None:
    rows: list[Row] = [("the zzz is late", 0), ("thanks", 1)] * 50
    schema = inferred(rows, num_read=200, rejected={"empty_text": 10})
    assert schema.max_unknown_rate == pytest.approx(2 * 50 / 250)
    assert schema.max_reject_share == 0.1
    assert schema.max_missing_share == {"label": 0.01, "text": 0.1}


def test_file_explains_itself_and_reads_back() -> None:
    schema = inferred()
    written = schema_file.to_yaml(schema)
    assert schema_file.parse(written.encode(), source="s") == schema
    assert schema_file.to_yaml(schema) == written
    bounds = [line for line in written.splitlines() if "max_" in line or "min_" in line][1:]
    assert len(bounds) >= 9 and all("  # " in line for line in bounds)


@pytest.mark.parametrize("name", ["yes", "1", "null", "a: b", "#1", "schön", "x'y"])
def test_any_label_name_survives_the_file(name: str) -> None:
    schema = inferred(label_names=(name, "other"))
    assert schema_file.parse(schema_file.to_yaml(schema).encode(), source="s") == schema


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("max_unknown_rate:", "max_unknown_rat:", "did you mean 'max_unknown_rate'"),
        ("  max_truncated_share:", "  max_cut:", "lengths.max_cut must be a known key"),
        ("task: classification\n", "", "task must be given"),
        ("max_shift: 0.1", "max_shift: a lot", "labels.max_shift must be a number"),
        ("format: 1", "format: 7", "format must be 1; received 7"),
        ("bins: [0, ", "bins: [1, ", "lengths.bins must start at 0"),
        ("names: [Latin]", "names: Latin", "scripts.names must be a list"),
        ("task: classification", "task: [", "must be YAML"),
    ],
)
def test_mistake_in_the_file_is_named(old: str, new: str, message: str) -> None:
    text = schema_file.to_yaml(inferred())
    assert old in text
    with pytest.raises(ValueError, match=r"preprocess\.schema\.file: my\.yaml") as error:
        schema_file.parse(text.replace(old, new, 1).encode(), source="my.yaml")
    assert message in str(error.value)


def test_digest_follows_the_content_and_not_the_name(tmp_path: Path) -> None:
    text = schema_file.to_yaml(inferred())
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    a, b = (SchemaConfig(file=name) for name in ("a.yaml", "b.yaml"))
    assert schema_file.digest(a, tmp_path) == schema_file.digest(b, tmp_path)
    (tmp_path / "b.yaml").write_text(text + "\n", encoding="utf-8")
    assert schema_file.digest(a, tmp_path) != schema_file.digest(b, tmp_path)
    assert schema_file.load(a, tmp_path) == inferred()
    absolute = SchemaConfig(file=str(tmp_path / "a.yaml"))
    assert schema_file.digest(absolute, "elsewhere") == schema_file.digest(a, tmp_path)


def test_no_schema_is_nothing_to_read(tmp_path: Path) -> None:
    assert schema_file.load(SchemaConfig(), tmp_path) is None
    assert schema_file.digest(SchemaConfig(), tmp_path) is None


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"preprocess.schema.file: must be a file .*'no.yaml'"):
        schema_file.digest(SchemaConfig(file="no.yaml"), tmp_path)


def test_empty_split_is_no_violation() -> None:
    found = check(
        inferred(), {"test": Statistics(length_counts=statistics([]).length_counts,
        label_counts=statistics([]).label_counts)}, task="classification", label_names=NAMES,
        **READ,
    )  # fmt: skip
    assert found == ()


def test_other_splits_of_the_same_data_make_room_for_themselves() -> None:
    rows: list[Row] = [(text, int(i % 5 > 0)) for i, (text, _) in enumerate(ROWS)]
    violations = checked(rows, split="test")
    wide = widened(inferred(), violations)
    found = {"test": statistics(rows, shares=ALL)}
    assert violations and check(wide, found, task="classification", label_names=NAMES, **READ) == ()
    assert wide.labels is not None and 0.1 < wide.labels.max_shift < 1
