"""Rows with none, one or several labels, from their cells to the shards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tpuline.components import texts as texts_files
from tpuline.components.contracts import ShardSet
from tpuline.components.preprocess import stage
from tpuline.components.preprocess.leakage import SampledRow, leaking_one_of_several
from tpuline.components.reading.rows import Reject, Row, row_of_strings, row_of_values
from tpuline.components.reading.source import Source
from tpuline.components.stored_examples import read_examples

from .stage_runs import Log, config, preprocess, write_csv

CELLS = ("", "spam", "spam|ham", " ham | spam |ham ", "eggs", "ham|eggs")
NAMES = ("eggs", "ham", "spam")


def several(**changes: Any) -> stage.Config:
    source = Source(train="train.csv", label_separator="|", **changes)
    return config(task="multi_label", source=source)


def rows(count: int) -> list[tuple[str, str]]:
    return [(f"row number {n} has words", CELLS[n % len(CELLS)]) for n in range(count)]


def stored(shards: ShardSet, split: str) -> list[list[int]]:
    """The labels of the examples."""
    return [
        example["label"]
        for shard in shards.split(split).shards
        for example in read_examples(f"{shards.uri}/{shard.records_file}")
    ]


def cells(shards: ShardSet, split: str) -> dict[str, str]:
    """What a model that is right answers, by text."""
    found: dict[str, str] = {}
    for window in texts_files.windows(shards, split):
        answers = map(shards.answer, window.labels)
        found.update(zip(window.texts, answers, strict=True))
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[ShardSet, Log]:
    """Shards of 120 rows, and what the run said."""
    folder, log = tmp_path_factory.mktemp("several"), Log()
    write_csv(folder / "train.csv", rows(120))
    return preprocess(folder, folder / "out", several(), log), log


def test_examples_hold_a_one_or_zero_for_each_label(made: tuple[ShardSet, Log]) -> None:
    shards, _ = made
    assert shards.label_names == NAMES and shards.label_width == 3
    for split in shards.splits:
        hot = stored(shards, split.name)
        assert {len(row) for row in hot} == {3}
        assert tuple(map(sum, zip(*hot, strict=True))) == split.label_counts
        assert sum(not any(row) for row in hot) == split.num_unlabelled > 0


def test_texts_have_the_labels_of_their_rows(made: tuple[ShardSet, Log]) -> None:
    shards, _ = made
    found = {text: cell for s in shards.splits for text, cell in cells(shards, s.name).items()}
    clean = {"": "", "spam": "spam", "eggs": "eggs", "ham|eggs": "eggs|ham"}
    assert found == {text: clean.get(cell, "ham|spam") for text, cell in rows(120)}


def test_shares_are_told_of_each_label(made: tuple[ShardSet, Log]) -> None:
    shards, log = made
    train = shards.split("train")
    (told,) = [info for info in log.infos if info.startswith("train: rows with")]
    assert f"spam {train.label_counts[2] / train.num_examples:.1%}" in told
    assert f"without any label {train.num_unlabelled / train.num_examples:.1%}" in told


def test_schema_and_tfds_know_several_labels(made: tuple[ShardSet, Log]) -> None:
    folder, train = Path(made[0].uri), made[0].split("train")
    share = round(train.label_counts[1] / train.num_examples, 6)
    assert f"ham: {share}" in (folder / "schema.yaml").read_text()
    assert json.loads((folder / "label.names.json").read_text()) == list(NAMES)
    tfds = pytest.importorskip("tensorflow_datasets")
    read = tfds.builder_from_directory(str(folder)).as_dataset(split="train")
    assert sorted(row["label"].tolist() for row in tfds.as_numpy(read)) == sorted(
        stored(made[0], "train")
    )


def test_unknown_labels_are_rejected_with_the_reason(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", [*rows(120), ("another row", "spam|salad")])
    log = Log()
    shards = preprocess(tmp_path, tmp_path / "out", several(label_names=NAMES), log)
    assert any("; set aside 1 (unknown_label 1); " in info for info in log.infos)
    assert [(one.reason, one.count) for one in shards.rejected_by_reason] == [("unknown_label", 1)]
    reject = json.loads((tmp_path / "out" / "rejects.jsonl").read_text())
    assert reject["row"] == 122
    assert reject["detail"] == "'salad' is not among the labels eggs, ham, spam"


def test_labels_that_train_lacks_are_rejected(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", rows(60))
    write_csv(tmp_path / "test.csv", [("one", "spam"), ("two", "spam|salad"), ("three", "")])
    source = several(test="test.csv").source
    made = config(task="multi_label", source=source, max_reject_share=0.5)
    shards = preprocess(tmp_path, tmp_path / "out", made)
    assert cells(shards, "test") == {"one": "spam", "three": ""}
    assert shards.num_rejected == 1


def test_numbers_and_lists_stand_for_configured_names(tmp_path: Path) -> None:
    labels: list[Any] = [[], [2], [2, 1], ["ham", 2], None, "0|ham"]
    lines = [{"text": f"row number {n}", "label": labels[n % 6]} for n in range(90)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    source = Source(train="train.jsonl", label_separator="|", label_names=NAMES)
    shards = preprocess(tmp_path, tmp_path / "out", config(task="multi_label", source=source))
    assert set(cells(shards, "train").values()) == {"", "spam", "ham|spam", "eggs|ham"}


def test_parquet_lists_are_labels(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    texts, lists = [text for text, _ in rows(60)], [["a", "b"], [], ["b"], None] * 15
    parquet.write_table(pa.table({"text": texts, "label": lists}), tmp_path / "train.parquet")
    source = Source(train="train.parquet", label_separator=",")
    shards = preprocess(tmp_path, tmp_path / "out", config(task="multi_label", source=source))
    assert set(cells(shards, "train").values()) == {"", "a,b", "b"}


def test_one_label_a_row_has_the_cache_key_of_before(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", [("a", "b")])
    assert "label_separator" not in json.dumps(stage.identity(config(), tmp_path))
    assert "label_separator" in json.dumps(stage.identity(several(), tmp_path))


@pytest.mark.parametrize(
    ("task", "source", "told"),
    [
        ("multi_label", {}, r"^source.label_separator: must be given for task multi_label"),
        ("classification", {"label_separator": "|"}, r"received '\|' for task classification"),
        ("multi_label", {"label_column": None}, r"^source.label_column: must name a column"),
    ],
)
def test_task_and_separator_go_together(task: str, source: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        config(task=task, source=Source(train="x.csv", **source))


@pytest.mark.parametrize(
    "fields",
    [
        {"label_separator": ""},
        {"label_separator": "\n"},
        {"label_separator": "|", "label_column": None},
        {"label_separator": "|", "label_names": ("a|b", "c")},
        {"label_separator": "|", "label_map": {"x": "a|b"}},
    ],
)
def test_separator_must_be_told_from_labels(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^label_separator: must be .*; received .*; "):
        Source(train="x.csv", **fields)


def cell(label: object) -> Row | Reject:
    return row_of_values(
        "f", 1, texts={"text": "x"}, label=label, max_bytes=99, label_separator="|"
    )


@pytest.mark.parametrize("label", [[["a"]], ["a|b"], {"a": 1}, [1.5]])
def test_cells_that_are_no_labels_are_rejected(label: object) -> None:
    made = cell(label)
    assert isinstance(made, Reject) and made.reason == "wrong_type"
    assert made.detail.startswith("the label must be a string, integer or bool, or a list of such")


def test_labels_are_mapped_one_by_one() -> None:
    made = row_of_strings(
        "f", 1, text="x", text_pair=None, label="1| 2", label_map={"1": "b"}, label_separator="|"
    )
    assert isinstance(made, Row) and made.label == "2|b"


def test_column_that_tells_one_of_the_labels_is_found() -> None:
    clean = ("", "spam", "ham|spam", "eggs", "eggs|ham", "ham")
    sample = [
        SampledRow(labels, (("stars", str(labels.count("spam"))), ("by", str(n % 7))))
        for n, labels in enumerate(clean * 70)
    ]
    (found,) = leaking_one_of_several(sample, "|")
    assert (found.column, found.how, found.accuracy) == ("stars", "of 'spam', its value", 1.0)
