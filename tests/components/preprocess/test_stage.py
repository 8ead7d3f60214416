"""The stage's config, its checks, and the errors it leaves users with."""

import json
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tpuline.components.example_spec import SPECIAL_TOKENS
from tpuline.components.preprocess import stage
from tpuline.components.preprocess.privacy import Privacy
from tpuline.components.reading.source import Source
from tpuline.components.vocabulary import load_vocabulary, save_vocabulary

from .stage_runs import config, numbered_rows, preprocess, rejects, texts, write_csv


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: config(sequence_length=7), "sequence_length: .* received 7"),
        (lambda: config(num_shards=3), "num_shards: .* power of two"),
        (lambda: config(shard_size_mb=0), "shard_size_mb: "),
        (lambda: config(max_reject_share=1.0), "max_reject_share: "),
        (lambda: config(cut=stage.Cut(test=0.0)), r"cut\.test: .* source\.test is null"),
        (lambda: stage.Cut(validation=1.0), "validation: .* below 1"),
        (lambda: stage.Cut(validation=-0.1), "validation: "),
        (lambda: stage.Cut(validation=0.5, test=0.5), "validation: the shares"),
        (lambda: stage.Vocabulary(size=100), "size: must be above 100"),
        (lambda: stage.Vocabulary(min_frequency=0), "min_frequency: "),
    ],
)
def test_config_refuses_what_cannot_work(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_split_with_a_source_needs_no_share() -> None:
    made = config(source=Source(train="a.csv", test="b.csv"), cut=stage.Cut(test=0.0))
    assert made.shares() == {"validation": 0.1}


def test_identity_is_of_content_not_of_place(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    write_csv(tmp_path / "one" / "train.csv", numbered_rows(20))
    write_csv(tmp_path / "two" / "other.csv", numbered_rows(20))
    one = stage.identity(config(), tmp_path / "one")
    two = stage.identity(config(source=Source(train="other.csv")), tmp_path / "two")
    assert one == two == json.loads(json.dumps(one))
    assert stage.identity(config(sequence_length=32), tmp_path / "one") != one
    write_csv(tmp_path / "two" / "other.csv", numbered_rows(21))
    assert stage.identity(config(source=Source(train="other.csv")), tmp_path / "two") != one


def test_identity_knows_the_order_of_own_patterns(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", numbered_rows(20))
    patterns = [("a", "x+"), ("b", "xy")]  # of "xy" the first one leaves the second nothing
    one, two = (
        stage.identity(config(privacy=Privacy(patterns=dict(order))), tmp_path)
        for order in (patterns, patterns[::-1])
    )
    assert json.dumps(one, sort_keys=True) != json.dumps(two, sort_keys=True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.jsonl", '{"write to alice@example.org": 1}\n'),
        ("train.csv", "write to alice@example.org,pos\n1,2\n"),
    ],
)
def test_check_redacts_what_it_shows_of_the_rows(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    plain, private = (
        config(source=Source(train=name), privacy=Privacy(redact=kinds))
        for kinds in ((), ("email",))
    )
    with pytest.raises(ValueError, match="alice@example"):
        stage.check(plain, tmp_path)
    with pytest.raises(ValueError, match=r"^preprocess\..*\[EMAIL\]") as error:
        stage.check(private, tmp_path)
    assert "alice" not in "".join(traceback.format_exception(error.value))


def test_check_finds_a_missing_file_and_a_missing_column(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"preprocess\.source\.train"):
        stage.check(config(), tmp_path)
    write_csv(tmp_path / "train.csv", numbered_rows(3), columns="words label")
    with pytest.raises(ValueError, match="text"):
        stage.check(config(), tmp_path)


def test_too_many_rejects_stop_the_run_and_are_left_to_read(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", [*numbered_rows(50), ("no label", ""), ("", "pos")])
    with pytest.raises(ValueError, match="max_reject_share") as error:
        preprocess(tmp_path, tmp_path / "out", config())
    assert "received 2 of 52" in str(error.value)
    assert "missing_label: 1, first at train.csv:52" in str(error.value)
    assert [line["row"] for line in rejects(tmp_path / "out")] == [52, 53]


def test_unknown_labels_count_towards_the_rejects(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", numbered_rows(50))
    write_csv(tmp_path / "test.csv", [("a", "POS"), ("b", "pos")])
    made = config(source=Source(train="train.csv", test="test.csv"))
    with pytest.raises(ValueError, match=r"unknown_label: 1, first at test\.csv:2 \('POS'"):
        preprocess(tmp_path, tmp_path / "out", made)
    assert len(rejects(tmp_path / "out")) == 1


def test_a_split_of_unknown_labels_only_names_its_source(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", numbered_rows(50))
    write_csv(tmp_path / "test.csv", [("a", "POS")])
    made = config(source=Source(train="train.csv", test="test.csv"), max_reject_share=0.5)
    with pytest.raises(ValueError, match=r"preprocess\.source\.test: .* from test\.csv"):
        preprocess(tmp_path, tmp_path / "out", made)


def test_rows_of_unknown_labels_drop_no_row_of_train(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", numbered_rows(50))
    write_csv(tmp_path / "test.csv", [("row 0 is good", "POS"), ("row 4 is good", "pos")])
    source = Source(train="train.csv", test="test.csv")
    for name, names in (("learnt", None), ("configured", ("neg", "pos"))):
        made = config(source=replace(source, label_names=names), max_reject_share=0.5)
        preprocess(tmp_path, tmp_path / name, made)
        reasons = {(one["file"], one["row"]): one["reason"] for one in rejects(tmp_path / name)}
        assert reasons == {("test.csv", 2): "unknown_label", ("train.csv", 6): "in_test"}


def test_two_spellings_of_a_configured_label_are_one(tmp_path: Path) -> None:
    rows = [*numbered_rows(40), ("said twice", "pos"), ("Said twice", "1"), ("said  twice", "0")]
    write_csv(tmp_path / "train.csv", rows)
    write_csv(tmp_path / "test.csv", [("a", "0"), ("b", "pos")])
    source = Source(train="train.csv", test="test.csv", label_names=("neg", "pos"))
    shards = preprocess(tmp_path, tmp_path / "out", config(source=source))
    assert [(one["row"], one["reason"]) for one in rejects(tmp_path / "out")] == [(42, "duplicate")]
    found = json.loads((tmp_path / "out" / shards.statistics_file).read_text(encoding="utf-8"))
    (within,) = (table for table in found["tables"] if table["title"] == "Repeats inside a split")
    assert within["rows"][0][:3] == ["train", 2, 3]


def test_one_label_is_not_enough_and_is_named(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", [(f"text {i}", "spam") for i in range(50)])
    with pytest.raises(ValueError, match=r"at least two labels; received 'spam' \(\d+ rows\)"):
        preprocess(tmp_path, tmp_path / "out", config())


def test_a_cut_that_leaves_nothing_names_the_share(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", [("a", "x"), ("b", "y")])
    made = config(cut=stage.Cut(validation=0.001, test=0.001))
    with pytest.raises(ValueError, match=r"preprocess\.cut\.validation: .* received 0\.001"):
        preprocess(tmp_path, tmp_path / "out", made)


def test_a_broken_file_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(b"\xff\xfet\0e\0x\0t\0")
    with pytest.raises(ValueError, match=r"preprocess\.source\.train: train\.csv .* UTF-16"):
        preprocess(tmp_path, tmp_path / "out", config())


def test_label_names_set_the_ids(tmp_path: Path) -> None:
    rows = [(f"text {i}", ("0", "1", "good", "bad")[i % 4]) for i in range(100)]
    write_csv(tmp_path / "train.csv", rows)
    source = Source(train="train.csv", label_names=("bad", "good"))
    shards = preprocess(tmp_path, tmp_path / "out", config(source=source))
    assert shards.label_names == ("bad", "good")
    by_text = dict(rows)
    for row in texts(shards, "train"):
        assert by_text[row["text"]] in (("0", "bad"), ("1", "good"))[row["label"]]


def test_a_preset_folder_gives_its_vocabulary(tmp_path: Path) -> None:
    tokens = (*SPECIAL_TOKENS, "row", "good")
    (tmp_path / "preset").mkdir()
    save_vocabulary(tokens, tmp_path / "preset" / "vocab.txt")
    write_csv(tmp_path / "train.csv", numbered_rows(60))
    made = config(vocabulary=stage.Vocabulary(preset=str(tmp_path / "preset")))
    stage.check(made, tmp_path)
    shards = preprocess(tmp_path, tmp_path / "out", made)
    assert load_vocabulary(tmp_path / "out" / "vocabulary.txt") == tokens
    assert shards.vocabulary_size == 7


def test_very_long_and_messy_texts_pass(tmp_path: Path) -> None:
    rows = [
        ("long " * 150_000, "a"),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467 \u202eabc" * 20, "b"),
        ("e\u0301" * 5_000, "a"),
        ("\u2028\u0085 seen \u3000", "b"),
        *numbered_rows(60),
    ]
    rows = [(text, {"pos": "a", "neg": "b"}.get(label, label)) for text, label in rows]
    write_csv(tmp_path / "train.csv", rows)
    shards = preprocess(tmp_path, tmp_path / "out", config())
    found = [row["text"] for split in shards.splits for row in texts(shards, split.name)]
    assert sorted(found) == sorted(text for text, _ in rows)


def test_real_pairs_with_quotes_and_a_bom(real_data: Any, tmp_path: Path) -> None:
    source = Source(
        train="train.tsv",
        test="dev.tsv",
        text_column="#1 String",
        text_pair_column="#2 String",
        label_column="Quality",
    )
    shards = preprocess(
        real_data("mrpc"), tmp_path / "out", config(source=source, sequence_length=64)
    )
    kept = shards.split("train").num_examples + shards.split("validation").num_examples
    assert kept + shards.num_rejected == 3_668
    assert {count.reason for count in shards.rejected_by_reason} <= {"near_test", "near_validation"}
    assert shards.split("test").label_counts == (129, 279)
