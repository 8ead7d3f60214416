"""Both passes through Beam: what comes out, and what it does not depend on."""

import hashlib
from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tpuline.components import tokenizers
from tpuline.components.contracts import ShardSet
from tpuline.components.preprocess import graph, stage
from tpuline.components.preprocess.duplicates.found import DuplicatesConfig
from tpuline.components.preprocess.facts import Portion
from tpuline.components.preprocess.results import load_result
from tpuline.components.reading.source import Source
from tpuline.components.reading.sources import list_files
from tpuline.components.stage import Context

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

ROWS = numbered_rows(400)


@pytest.fixture(scope="module")
def log() -> Log:
    return Log()


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory, log: Log) -> ShardSet:
    data = tmp_path_factory.mktemp("data")
    write_csv(data / "train.csv", ROWS)
    return preprocess(data, data / "out", config(num_shards=4), log)


def test_every_row_lands_in_one_split_with_its_label(shards: ShardSet) -> None:
    found = [
        (row["text"], shards.label_names[row["label"]])
        for split in shards.splits
        for row in texts(shards, split.name)
    ]
    assert sorted(found) == sorted(ROWS)
    assert [split.num_examples > 40 for split in shards.splits] == [True] * 3


def test_records_are_the_texts_through_the_tokenizer(shards: ShardSet) -> None:
    tokenizer = tokenizers.load(
        "wordpiece",
        Path(shards.uri) / shards.vocabulary_file,
        lowercase=True,
        sequence_length=16,
        has_text_pair=False,
    )
    for split in shards.splits:
        rows = texts(shards, split.name)
        expected = tokenizer(tf.constant([row["text"] for row in rows])).token_ids.to_list()
        assert records(shards, split.name) == [
            {"label": [row["label"]], "token_ids": token_ids}
            for row, token_ids in zip(rows, expected, strict=True)
        ]


def test_facts_are_those_of_the_files(shards: ShardSet) -> None:
    for split in shards.splits:
        rows = records(shards, split.name)
        lengths = [len(row["token_ids"]) for row in rows]
        labels = [row["label"][0] for row in rows]
        assert split.num_examples == len(rows) == sum(s.num_examples for s in split.shards)
        assert split.num_tokens == sum(lengths)
        assert split.length_counts == tuple(lengths.count(n) for n in range(17))
        assert split.label_counts == (labels.count(0), labels.count(1))
        for shard in split.shards:
            content = (Path(shards.uri) / shard.records_file).read_bytes()
            assert (shard.size_bytes, shard.sha256) == (
                len(content),
                hashlib.sha256(content).hexdigest(),
            )


def test_only_what_the_contract_names_is_left(shards: ShardSet) -> None:
    named = {shards.vocabulary_file, shards.rejects_file}
    named |= {shards.statistics_file, shards.schema_file}
    named |= {"dataset_info.json", "features.json", "label.labels.txt"}  # for TFDS
    for split in shards.splits:
        assert len(split.shards) == 4
        named |= {shard.records_file for shard in split.shards}
        named |= {shard.texts_file for shard in split.shards}
    assert set(contents(Path(shards.uri))) == named


def test_progress_is_told(shards: ShardSet, log: Log) -> None:
    assert log.tasks["reading"] == 400
    assert log.tasks["shards"] == 12
    assert any("train" in message for message in log.infos)


def test_bytes_do_not_depend_on_files_their_order_or_buckets(
    shards: ShardSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backwards = ROWS[::-1]
    for number, start in enumerate(range(0, 400, 150)):
        write_csv(tmp_path / f"part{number}.csv", backwards[start : start + 150])
    monkeypatch.setattr(stage, "num_buckets", lambda *_: 16)
    made = config(source=Source(train="part*.csv"), num_shards=4)
    other = preprocess(tmp_path, tmp_path / "out", made)
    assert contents(Path(other.uri)) == contents(Path(shards.uri))


def test_fewer_shards_hold_the_same_rows_in_the_same_order(
    shards: ShardSet, tmp_path: Path
) -> None:
    write_csv(tmp_path / "train.csv", ROWS)
    one = preprocess(tmp_path, tmp_path / "out", config(num_shards=1))
    for split in shards.splits:
        assert texts(one, split.name) == texts(shards, split.name)
        assert records(one, split.name) == records(shards, split.name)


def test_equal_texts_never_straddle_cut_splits(tmp_path: Path) -> None:
    variants = [
        (f"{blank}text  {i}{end}", label)
        for i in range(60)
        for blank, end, label in (("", "", "a"), (" ", "<br>", "b"), ("", "\u2003", "a"))
    ]
    write_csv(tmp_path / "train.csv", variants)
    made = config(duplicates=DuplicatesConfig(exact="report"))
    shards = preprocess(tmp_path, tmp_path / "out", made)
    seen = [
        {" ".join(row["text"].replace("<br>", " ").split()) for row in texts(shards, split.name)}
        for split in shards.splits
    ]
    assert sum(len(split) for split in seen) == 60 == len(set.union(*seen))
    assert sum(split.num_examples for split in shards.splits) == 180


def test_pairs_keep_both_texts(tmp_path: Path) -> None:
    rows = [(f"first {i % 5}", f"second {i}", str(i % 2)) for i in range(100)]
    write_csv(tmp_path / "train.csv", rows, columns="text other label")
    source = Source(train="train.csv", text_pair_column="other")
    shards = preprocess(tmp_path, tmp_path / "out", config(source=source))
    found = [
        (row["text"], row["text_pair"], row["label"])
        for split in shards.splits
        for row in texts(shards, split.name)
    ]
    assert shards.has_text_pair
    assert sorted(found) == sorted((a, b, int(label)) for a, b, label in rows)
    for row in records(shards, "train"):
        assert len(row["segment_ids"]) == len(row["token_ids"])
        assert set(row["segment_ids"]) == {0, 1}


def test_splits_with_files_of_their_own_keep_their_rows(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", ROWS[:200])
    write_csv(tmp_path / "test.csv", ROWS[100:150])
    shards = preprocess(
        tmp_path, tmp_path / "out", config(source=Source(train="train.csv", test="test.csv"))
    )
    assert sorted(row["text"] for row in texts(shards, "test")) == sorted(
        text for text, _ in ROWS[100:150]
    )
    validation = {row["text"] for row in texts(shards, "validation")}
    shared = [text for text, _ in ROWS[100:150] if text not in validation]
    left_out = [line for line in rejects(tmp_path / "out") if line["reason"] == "in_test"]
    assert len(left_out) == len(shared) > 0
    kept = shards.split("train").num_examples + shards.split("validation").num_examples
    assert kept + len(left_out) == 200


def test_rejected_and_accepted_rows_are_all_rows(tmp_path: Path) -> None:
    odd = [(" <br> \x07", "pos"), ("fine text", ""), ("kept", "neg")]
    write_csv(tmp_path / "train.csv", [*ROWS, *odd])
    write_csv(tmp_path / "test.csv", [("a", "pos"), ("b", "neutral"), ("c", "neg")])
    made = config(source=Source(train="train.csv", test="test.csv"), max_reject_share=0.05)
    shards = preprocess(tmp_path, tmp_path / "out", made)
    assert [(line["file"], line["row"], line["reason"]) for line in rejects(tmp_path / "out")] == [
        ("test.csv", 3, "unknown_label"),
        ("train.csv", 402, "empty_text"),
        ("train.csv", 403, "missing_label"),
    ]
    assert shards.num_rejected == 3
    assert {count.reason: count.count for count in shards.rejected_by_reason} == {
        "empty_text": 1,
        "missing_label": 1,
        "unknown_label": 1,
    }
    assert sum(split.num_examples for split in shards.splits) == 406 - 3


def test_a_bundle_that_is_tried_again_leaves_no_trace(tmp_path: Path) -> None:
    """Another runner, which makes each bundle fail once after it has spilled its rows."""
    write_csv(tmp_path / "train.csv", ROWS)
    made = config()
    whole = preprocess(tmp_path, tmp_path / "whole", made)
    portions = [Portion(files=list_files(made.source, "train", tmp_path))]
    (tmp_path / "again").mkdir()
    ctx = Context(
        workdir=tmp_path / "again",
        shared=str(tmp_path / "again"),
        data_dir=tmp_path,
        seed=0,
        hardware=None,  # type: ignore[arg-type]
        log=Log(),
    )
    work = stage._work(made, 1, ctx)
    failed = graph.SpillRows(work)
    failed.setup()
    failed.start_bundle()
    failed.process(portions[0])
    list(failed.finish_bundle())  # its facts are lost; its files stay
    with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([])) as pipeline:
        graph.build(pipeline, work, portions)
    result = load_result(work.result_file)
    assert sum(shard.num_examples for shard in result.shards) == 400
    for split in whole.splits:
        for shard in split.shards:
            assert (tmp_path / "again" / shard.records_file).read_bytes() == (
                Path(whole.uri) / shard.records_file
            ).read_bytes()
