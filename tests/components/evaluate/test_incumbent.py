"""The model that serves already, on the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tpuline.components import texts
from tpuline.components.contracts import Servable, ShardSet
from tpuline.components.evaluate import incumbent
from tpuline.components.evaluate.predict import Predictions
from tpuline.components.serving.found import Found, digest, find

from .conftest import Recorder


def found(folder: Path) -> Found:
    return find(folder, what="evaluate.incumbent")


def answers(model: Found, shards: ShardSet) -> np.ndarray:
    return incumbent.answers(
        model,
        shards,
        texts.windows(shards, "test"),
        num_examples=shards.split("test").num_examples,
        batch_size=50,
        progress=lambda completed: None,
    )


def test_answers_are_told_apart_by_the_names_of_labels_whatever_their_order(
    corpus: ShardSet, deaf_model: Path
) -> None:
    assert found(deaf_model).labels == ("positive", "negative")
    assert answers(found(deaf_model), corpus).tolist() == [1] * 120  # positive, as the data has it


def predictions_of(labels: np.ndarray, predicted: np.ndarray) -> Predictions:
    return Predictions(
        labels_N=labels,
        predicted_N=predicted,
        probabilities_NC=np.full((len(labels), 2), 0.5),
        lengths_N=np.ones(len(labels)),
        mistakes=(),
        doubts=(),
        values={},
    )


def test_comparison_counts_rows_that_only_one_has_right(
    corpus: ShardSet, deaf_model: Path, log: Recorder
) -> None:
    labels = np.array([0] * 50 + [1] * 50)
    predicted = np.array([0] * 48 + [1] * 2 + [1] * 49 + [0])
    result = incumbent.compared(
        np.ones(100, int),
        predictions_of(labels, predicted),
        found=found(deaf_model),
        shards=corpus,
        samples=500,
        seed=1,
        log=log,
    )
    assert (result.gained, result.lost) == (48, 1)
    assert result.accuracy.value == 0.5
    assert result.difference.value == pytest.approx(0.47)
    assert 0.3 < result.difference.low < result.difference.value < result.difference.high < 0.6
    assert result.p_value < 1e-9
    assert result.digest == digest(deaf_model)
    assert result.unknown_labels == () and not log.warnings


def test_label_that_the_data_lacks_is_refused(corpus: ShardSet) -> None:
    with pytest.raises(ValueError, match=r"^evaluate.incumbent: each .* received positive, mixed;"):
        incumbent.matched(("positive", "mixed"), corpus)


def test_label_that_the_incumbent_lacks_is_told(
    corpus: ShardSet, deaf_model: Path, log: Recorder
) -> None:
    wider = replace(corpus, label_names=("mixed", "negative", "positive"))
    assert incumbent.matched(("positive", "negative"), wider) == (
        {"positive": 2, "negative": 1},
        ("mixed",),
    )
    labels = np.array([0, 1, 2])
    result = incumbent.compared(
        np.array([2, 1, 2]),
        predictions_of(labels, labels),
        found=found(deaf_model),
        shards=wider,
        samples=100,
        seed=1,
        log=log,
    )
    assert (result.gained, result.unknown_labels) == (1, ("mixed",))
    assert "the incumbent knows nothing of mixed" in log.warnings[0]


def test_model_of_pairs_is_refused_for_single_texts(
    corpus: ShardSet, export_word_model: Callable[..., Servable]
) -> None:
    servable = export_word_model(has_text_pair=True)
    pairs = found(Path(servable.uri) / servable.saved_model_dir)
    with pytest.raises(
        ValueError, match=r"^evaluate.incumbent: must take single texts.* of text, text_pair"
    ):
        answers(pairs, corpus)


def test_answer_that_stands_in_no_labels_file_is_refused(
    corpus: ShardSet, export_word_model: Callable[..., Servable]
) -> None:
    servable = export_word_model(broken="names")
    strange = found(Path(servable.uri) / servable.saved_model_dir)
    with pytest.raises(ValueError, match=r"^evaluate.incumbent: .* received '(bad|good)\?'"):
        answers(strange, corpus)
