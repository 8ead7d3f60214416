"""Label cells and their ids, and labels that hardly any row has."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.components.preprocess import stage_runs
from tpuline.components.preprocess.config import Cut
from tpuline.components.preprocess.labels import configured_labels, known_labels, learn_labels


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["b", "a", "b"], ("a", "b")),
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["10", "9", "none"], ("10", "9", "none")),
        (["²", "1"], ("1", "²")),
    ],
)
def test_learnt_labels_are_sorted_by_value_or_name(cells: list[str], names: tuple[str]) -> None:
    labels = learn_labels(cells)
    assert labels.names == names
    assert labels.ids == {name: i for i, name in enumerate(names)}


def test_labels_count_that_train_has() -> None:
    assert known_labels({"train": ["a", "b"], "test": ["b"]}) is None
    assert known_labels({"train": ["a", "b"], "test": ["b", "c"]}) == {"a", "b"}
    assert known_labels({}) is None


def test_configured_names_take_names_and_numbers() -> None:
    labels = configured_labels(("negative", "positive"))
    assert labels.ids == {"negative": 0, "positive": 1, "0": 0, "1": 1}


def test_configured_numbers_are_names_only() -> None:
    assert configured_labels(("1", "2")).ids == {"1": 0, "2": 1}


def test_label_of_very_few_rows_is_told_unless_labels_are_given(tmp_path: Path) -> None:
    rows = [(f"the {n}th parcel of {n * 7} things", "ab"[n % 2]) for n in range(600)]
    stage_runs.write_csv(tmp_path / "train.csv", [*rows, ("what a bad bill this is", "bb")])
    told: list[str] = []
    log = stage_runs.Log()
    log.warning = lambda message, **facts: told.append(message)  # type: ignore[method-assign]
    whole = stage_runs.config(cut=Cut(validation=0.001, test=0.001))
    stage_runs.preprocess(tmp_path, tmp_path / "learnt", whole, log)
    (message,) = told
    assert "very few rows in train: 'bb' (1); where one is another, misspelt, label_map" in message
    given = replace(whole, source=replace(whole.source, label_names=("a", "b")))
    made = stage_runs.preprocess(tmp_path, tmp_path / "given", given, log)
    assert len(told) == 1 and made.num_rejected == 1
