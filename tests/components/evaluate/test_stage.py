"""The evaluate stage from shards and a SavedModel to what was measured."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tpuline.components.contracts import EvalReport, Servable, ShardSet
from tpuline.components.evaluate import stage
from tpuline.components.evaluate.latency import Latency
from tpuline.components.evaluate.slices import Slices
from tpuline.components.serving.found import digest
from tpuline.components.stage import Context

from .conftest import Recorder, references, write_shards

QUICK = Latency(num_requests=10, warmup_requests=2)


def measure(
    config: stage.Config, shards: ShardSet, servable: Servable, context: Context
) -> EvalReport:
    inputs = stage.Inputs(shards=shards, references=references("test"), servable=servable)
    return stage.run(config, inputs, context)


def test_a_servable_is_measured_from_raw_strings(
    corpus: ShardSet, word_model: Servable, deaf_model: Path, context: Context, log: Recorder
):
    config = stage.Config(
        latency=replace(QUICK, batch_sizes=(1, 32)),
        num_mistakes=3,
        num_doubts=4,
        incumbent=str(deaf_model),
    )
    started = time.perf_counter()
    report = stage.run(
        config,
        stage.Inputs(shards=corpus, references=references("test"), servable=word_model),
        context,
    )

    assert report.accuracy.value == pytest.approx(114 / 120)
    assert report.accuracy.low < report.accuracy.value < report.accuracy.high
    assert sum(map(sum, report.confusion_matrix)) == report.num_examples == 120
    assert [row.support for row in report.per_class] == list(corpus.split("test").label_counts)
    assert report.macro_f1.value == pytest.approx(sum(row.f1 for row in report.per_class) / 2)
    assert 0 < report.expected_calibration_error < 0.5
    assert report.majority_accuracy < report.linear_accuracy == pytest.approx(114 / 120)
    assert [(p.batch_size, p.num_requests) for p in report.latency] == [(1, 10), (32, 10)]
    assert 0 < report.cold_start_s < time.perf_counter() - started
    assert report.peak_memory_bytes > 100e6
    assert (len(report.mistakes), len(report.doubts)) == (3, 4)
    assert report.uri == str(context.workdir)
    assert report.model_digest == digest(Path(word_model.uri) / word_model.saved_model_dir)
    with np.load(context.workdir / report.predictions_file) as found:
        assert (found["labels"] == found["predicted"]).mean() == report.accuracy.value
        assert found["probabilities"].shape == (120, 2)
    assert log.tasks["predict"] == 1.0
    assert report.incumbent and report.incumbent.gained > report.incumbent.lost > 0
    assert report.incumbent.difference.value == pytest.approx(
        report.accuracy.value - report.incumbent.accuracy.value
    )


def test_a_missing_saved_model_is_named(corpus: ShardSet, word_model: Servable, context: Context):
    lost = replace(word_model, saved_model_dir="model/2")
    with pytest.raises(ValueError, match=r"^servable.saved_model_dir: .*model/2.*; export again"):
        stage.run(
            stage.Config(),
            stage.Inputs(shards=corpus, references=references("test"), servable=lost),
            context,
        )


def test_a_model_of_other_labels_is_refused(
    corpus: ShardSet, word_model: Servable, context: Context
):
    other = replace(word_model, label_names=("positive", "negative"))
    with pytest.raises(ValueError, match=r"^servable.label_names: .*received \('positive', "):
        stage.run(
            stage.Config(),
            stage.Inputs(shards=corpus, references=references("test"), servable=other),
            context,
        )


def test_a_model_of_single_texts_is_refused_for_pairs(
    word_model: Servable, context: Context, tmp_path: Path
):
    pairs = write_shards(tmp_path / "pairs", {"test": [("a", "b", 0), ("c", "d", 1)]})
    with pytest.raises(ValueError, match=r"^servable.has_text_pair: .*received False"):
        stage.run(
            stage.Config(),
            stage.Inputs(shards=pairs, references=references("test"), servable=word_model),
            context,
        )


def test_an_empty_split_is_refused(corpus: ShardSet, word_model: Servable, context: Context):
    config = stage.Config(split="validation")
    with pytest.raises(ValueError, match=r"^evaluate.split: .*received 'validation'"):
        stage.run(
            config,
            stage.Inputs(shards=corpus, references=references("test"), servable=word_model),
            context,
        )


def test_a_pair_model_is_timed_with_pairs(
    export_word_model: Callable[..., Servable], context: Context, tmp_path: Path
):
    rows = [("a", "good", 1), ("bad", "b", 0)] * 5
    pairs = write_shards(tmp_path / "pairs", {"train": rows, "test": rows})
    config = stage.Config(latency=replace(QUICK, batch_sizes=(2,)))
    servable = export_word_model(has_text_pair=True)
    report = stage.run(
        config,
        stage.Inputs(shards=pairs, references=references("test"), servable=servable),
        context,
    )
    assert report.accuracy.value == 1.0
    assert report.latency[0].batch_size == 2


def test_slices_of_a_column_that_was_not_kept_are_refused(
    corpus: ShardSet, word_model: Servable, context: Context
):
    config = stage.Config(slices=Slices(columns=("shop",)))
    with pytest.raises(ValueError, match=r"^evaluate.slices.columns: must be among .*'?shop"):
        measure(config, corpus, word_model, context)


def test_the_cache_key_follows_what_the_incumbent_holds_and_not_where_it_lies(
    deaf_model: Path, tmp_path: Path
):
    def facts(folder: Path) -> object:
        return stage.identity(stage.Config(incumbent=folder.name), folder.parent)

    moved = tmp_path / "moved"
    shutil.copytree(deaf_model, moved)
    assert facts(moved) == facts(deaf_model)
    (moved / "assets" / "labels.txt").write_text("positive\nnegative\nother\n")
    assert facts(moved) != facts(deaf_model)


def test_an_incumbent_that_is_not_there_is_refused_before_anything_runs(tmp_path: Path):
    with pytest.raises(ValueError, match=r"^evaluate.incumbent: must be .*old, which is no folder"):
        stage.check(stage.Config(incumbent="old"), tmp_path)
    with pytest.raises(ValueError, match=r"^evaluate.incumbent: must be .*received gs://bucket/m;"):
        stage.check(stage.Config(incumbent="gs://bucket/m"), tmp_path)


@pytest.mark.parametrize("field", ["bootstrap_samples", "num_mistakes", "num_doubts"])
def test_counts_that_cannot_be_meant_are_refused(field: str):
    with pytest.raises(ValueError, match=f"^{field}: must be at least .*; received -1; "):
        stage.Config(**{field: -1})
