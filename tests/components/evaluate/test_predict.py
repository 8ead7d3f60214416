"""Predictions of a real SavedModel made of string ops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tpuline.components import texts
from tpuline.components.contracts import Servable, ShardSet
from tpuline.components.evaluate import predict
from tpuline.components.evaluate.shown import Gallery

from .conftest import LABEL_NAMES, write_shards


def ask(
    servable: Servable,
    shards: ShardSet,
    *,
    batch_size: int = 16,
    num_mistakes: int = 20,
    num_doubts: int = 0,
) -> predict.Predictions:
    return predict.predict(
        predict.load(servable),
        texts.windows(shards, "test"),
        num_examples=shards.split("test").num_examples,
        batch_size=batch_size,
        gallery=Gallery(num_mistakes=num_mistakes, num_doubts=num_doubts, label_names=LABEL_NAMES),
        progress=lambda completed: None,
    )


def test_answers_stand_in_the_order_of_the_rows(word_model: Servable, corpus: ShardSet):
    predictions = ask(word_model, corpus)
    (window,) = [w for w in texts.windows(corpus, "test") if w.start == 0]
    expected = ["good" in text.split() for text in window.texts]
    assert predictions.predicted_N[: len(window)].tolist() == expected
    assert predictions.labels_N[: len(window)].tolist() == window.labels
    lengths = np.array([len(text) for text in window.texts])
    scores = predictions.probabilities_NC[: len(window)].max(axis=1)
    assert scores == pytest.approx(0.6 + 0.39 * lengths / (lengths + 40), rel=1e-5)


def test_answers_do_not_depend_on_the_batch_size(word_model: Servable, corpus: ShardSet):
    one, all_at_once = (
        ask(word_model, corpus, batch_size=1),
        ask(word_model, corpus, batch_size=999),
    )
    assert (one.probabilities_NC == all_at_once.probabilities_NC).all()
    assert one.mistakes == all_at_once.mistakes


def test_the_most_confident_mistakes_come_first(word_model: Servable, corpus: ShardSet):
    every = ask(word_model, corpus).mistakes
    assert len(every) == 6
    scores = [mistake.score for mistake in every]
    assert scores == sorted(scores, reverse=True)
    assert all(m.label != m.predicted and {m.label, m.predicted} == set(LABEL_NAMES) for m in every)
    assert ("good" in every[0].text.split()) == (every[0].predicted == "positive")
    assert ask(word_model, corpus, num_mistakes=2).mistakes == every[:2]
    assert ask(word_model, corpus, num_mistakes=0).mistakes == ()


def test_the_least_confident_right_answers_come_first(word_model: Servable, corpus: ShardSet):
    predictions = ask(word_model, corpus, num_doubts=500)
    doubts = predictions.doubts
    assert len(doubts) == 114 and all(row.label == row.predicted for row in doubts)
    scores = [row.score for row in doubts]
    assert scores == sorted(scores)
    assert ask(word_model, corpus, num_doubts=2).doubts == doubts[:2]


def test_rows_that_are_shown_do_not_depend_on_the_windows(corpus: ShardSet):
    (whole,) = [texts.joined(texts.windows(corpus, "test"))]
    rng = np.random.default_rng(1)
    predicted = rng.integers(0, 2, len(whole))
    probabilities = rng.random((len(whole), 2)).round(1)  # many are the same

    def shown(step: int) -> Gallery:
        gallery = Gallery(num_mistakes=7, num_doubts=5, label_names=LABEL_NAMES)
        for start in range(0, len(whole), step):
            here = slice(start, start + step)
            part = replace(whole, start=start, texts=whole.texts[here], labels=whole.labels[here])
            gallery.add(part, predicted[here], probabilities[here])
        return gallery

    assert len(shown(1).mistakes) == 7 and len(shown(1).doubts) == 5
    assert (shown(1).mistakes, shown(1).doubts) == (shown(999).mistakes, shown(999).doubts)


def test_kept_cells_and_languages_stand_in_the_order_of_the_rows(
    word_model: Servable, tmp_path: Path
):
    written = ["this film is really good and funny", "dieser Film ist wirklich nicht so gut"] * 3
    shards = write_shards(
        tmp_path,
        {"test": [(text, None, 0) for text in written]},
        kept={"shop": [f"s{n}" for n in range(6)]},
    )
    predictions = predict.predict(
        predict.load(word_model),
        texts.windows(shards, "test", kept=["shop"]),
        num_examples=6,
        batch_size=4,
        gallery=Gallery(num_mistakes=0, num_doubts=0, label_names=LABEL_NAMES),
        progress=lambda completed: None,
        guess_language=True,
    )
    assert predictions.values == {
        "shop": [f"s{n}" for n in range(6)],
        "language": ["en", "de"] * 3,
    }


def test_a_long_mistake_is_cut(word_model: Servable, tmp_path: Path):
    shards = write_shards(tmp_path, {"test": [("good " * 1000, None, 0), ("bad", None, 0)]})
    (mistake,) = ask(word_model, shards).mistakes
    assert len(mistake.text) == 500
    assert mistake.text.endswith("…")


def test_both_texts_of_a_pair_are_asked(export_word_model: Callable[..., Servable], tmp_path: Path):
    rows = [("a", "good", 1), ("good", "b", 0), ("c", "d", 0)]
    shards = write_shards(tmp_path, {"test": rows})
    predictions = ask(export_word_model(has_text_pair=True), shards)
    assert predictions.predicted_N.tolist() == [1, 1, 0]
    assert [mistake.text for mistake in predictions.mistakes] == ["good | b"]


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ("nan", "not finite"),
        ("label", "a label that the probabilities do not call for"),
        ("names", "the unknown label b'bad"),
    ],
)
def test_a_model_that_contradicts_itself_is_refused(
    export_word_model: Callable[..., Servable], corpus: ShardSet, broken: str, problem: str
):
    with pytest.raises(ValueError, match=f"^servable.serving_default: .*{problem}"):
        ask(export_word_model(broken=broken), corpus)
