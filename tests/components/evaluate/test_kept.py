"""Rows that an attempt before was told of are not asked for again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.components.training.toy import Memory
from tpuline.components.evaluate import predict
from tpuline.components.evaluate.kept import KeptAnswers
from tpuline.components.evaluate.shown import Gallery
from tpuline.components.texts import Window

NAMES = ("no", "yes")


def windows(word: str = "text") -> list[Window]:
    texts = [f"{word} {number}" for number in range(7)]
    bounds = ((0, 3), (3, 6), (6, 7))
    return [
        Window(start=a, texts=texts[a:b], text_pairs=None, labels=[n % 2 for n in range(a, b)])
        for a, b in bounds
    ]


class Model:
    """Answers "yes" with a probability by the number in the text; may stop in between."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.asked: list[str] = []
        self._stop_at = stop_at

    def __call__(self, inputs: Any) -> tuple[np.ndarray, np.ndarray]:
        texts = list(next(iter(inputs.values())))
        self.asked += texts
        numbers = np.array([int(text.split()[1]) for text in texts])
        if self._stop_at in numbers:
            raise KeyboardInterrupt
        yes = ((numbers + 1) / 10).astype(np.float32)
        return (yes > 0.5).astype(np.int64), np.stack([1 - yes, yes], axis=1)


def ask(model: Model, place: Path, rows: list[Window]) -> predict.Predictions:
    return predict.predict(
        model,
        rows,
        num_examples=7,
        batch_size=2,
        gallery=Gallery(num_mistakes=9, num_doubts=9, label_names=NAMES),
        progress=lambda completed: None,
        kept=KeptAnswers(str(place), Memory()),
    )


def same(one: predict.Predictions, other: predict.Predictions) -> bool:
    arrays = ("predicted_N", "probabilities_NC", "labels_N")
    equal = all(np.array_equal(getattr(one, n), getattr(other, n)) for n in arrays)
    return equal and one.mistakes == other.mistakes


def test_attempt_goes_on_after_the_last_whole_window(tmp_path: Path) -> None:
    whole = ask(Model(), tmp_path / "undisturbed", windows())
    with pytest.raises(KeyboardInterrupt):
        ask(Model(stop_at=5), tmp_path / "kept", windows())
    later = Model()
    assert same(ask(later, tmp_path / "kept", windows()), whole)
    assert sorted(later.asked) == ["text 3", "text 4", "text 5", "text 6"]
    last = Model()
    assert same(ask(last, tmp_path / "kept", windows()), whole) and not last.asked


@pytest.mark.parametrize("damage", ["torn", "no archive", "other shape"])
def test_what_is_no_such_file_is_asked_for_again(tmp_path: Path, damage: str) -> None:
    whole = ask(Model(), tmp_path, windows())
    file = tmp_path / "answers-3.npz"
    content = file.read_bytes()
    if damage == "torn":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "no archive":
        file.write_bytes(b"hello")
    else:
        file.write_bytes((tmp_path / "answers-6.npz").read_bytes())
    again = Model()
    assert same(ask(again, tmp_path, windows()), whole)
    assert sorted(again.asked) == ["text 3", "text 4", "text 5"]


def test_answers_to_other_texts_do_not_count(tmp_path: Path) -> None:
    ask(Model(), tmp_path, windows())
    other = Model()
    ask(other, tmp_path, windows("another"))
    assert len(other.asked) == 7
