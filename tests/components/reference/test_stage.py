"""The reference stage from shards to accuracies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tpuline.components.contracts import ShardSet
from tpuline.components.reference import stage
from tpuline.components.stage import Context

from .conftest import write_shards


def test_references_are_of_every_split_that_holds_rows(corpus: ShardSet, context: Context) -> None:
    made = stage.run(stage.Config(), stage.Inputs(shards=corpus), context)
    assert [one.split for one in made.accuracies] == ["test"]
    assert made.of("test").linear == pytest.approx(114 / 120)
    assert 0.5 < made.of("test").majority < 0.75
    with pytest.raises(KeyError, match=r"no split 'validation'; known: \['test'\]"):
        made.of("validation")


def test_what_cannot_be_judged_is_refused(
    corpus: ShardSet, context: Context, tmp_path: Path
) -> None:
    packed = replace(corpus, task="language_model")
    empty = write_shards(tmp_path / "empty", {"train": [], "test": [("a", None, 1)]})
    for shards in (packed, empty):
        with pytest.raises(
            ValueError, match=r"^preprocess.task: must be classification or multi_label, with"
        ):
            stage.run(stage.Config(), stage.Inputs(shards=shards), context)


def test_learning_from_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^linear_rows: must be at least 1; received 0"):
        stage.Config(linear_rows=0)
