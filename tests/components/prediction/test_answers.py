"""A row gets its own answer, whatever stands beside it in a batch."""

from __future__ import annotations

import numpy as np
import pytest

from tpuline.components.prediction.answers import Answers, Columns, answers


class Model:
    """Knows how long a text is; fails at `poison`, and gives no number for `nan`."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def ask(self, columns: Columns) -> dict[str, np.ndarray]:
        texts = columns[0]
        self.asked.append(texts)
        if "poison" in texts:
            raise ArithmeticError("cannot digest\n  it")
        short = np.array([1.0 / (1 + len(text)) for text in texts], np.float32)
        short[[place for place, text in enumerate(texts) if text == "nan"]] = np.nan
        return {
            "label": np.array([b"long" if value < 0.2 else b"short" for value in short], object),
            "score": np.maximum(short, 1 - short),
            "probabilities": np.stack([short, 1 - short], axis=1),
        }


def answered(texts: list[str], model: Model | None = None, max_rows: int = 4) -> Answers:
    return answers((model or Model()).ask, (texts,), max_rows=max_rows)


def test_answers_come_in_the_order_of_the_rows() -> None:
    found = answered(["a long text", "b", "another long text", "c", "dd"], max_rows=2)
    assert found.labels == ["long", "short", "long", "short", "short"]
    assert found.probabilities[:, 0] == pytest.approx([1 / 12, 1 / 2, 1 / 18, 1 / 2, 1 / 3])
    assert not found.failures


def test_row_that_breaks_the_model_takes_no_other_along() -> None:
    found = answered(["a", "poison", "b", "long enough"])
    assert found.labels == ["short", "", "short", "long"]
    assert found.failures == {1: "ArithmeticError: cannot digest it"}
    assert np.isnan(found.scores[1]) and np.isfinite(np.delete(found.scores, 1)).all()


def test_other_batches_are_not_asked_again() -> None:
    model = Model()
    answered(["a", "poison", "bb", "cc", "ddddddddd", "eeeeeeeee"], model, max_rows=4)
    assert model.asked[-1] == ["ddddddddd", "eeeeeeeee"]
    assert len(model.asked) == 1 + 4 + 1


def test_probability_that_is_no_number_is_no_answer() -> None:
    found = answered(["a", "nan"])
    assert found.failures == {1: "a probability is no finite number"}


def test_model_that_fails_whatever_it_is_asked_is_told() -> None:
    def broken(columns: Columns) -> dict[str, np.ndarray]:
        raise ArithmeticError("no memory")

    with pytest.raises(RuntimeError, match=r"^MODEL: must answer texts; it fails on 'a text like"):
        answers(broken, (["fine"],), max_rows=8)


def test_model_that_never_answers_with_a_number_is_told() -> None:
    def nowhere(columns: Columns) -> dict[str, np.ndarray]:
        found = Model().ask((["a"] * len(columns[0]),))
        return found | {"probabilities": np.full_like(found["probabilities"], np.nan)}

    with pytest.raises(RuntimeError, match="a probability is no finite number; export it again"):
        answers(nowhere, (["fine", "good"],), max_rows=8)


def test_rows_that_all_break_the_model_are_not_its_fault() -> None:
    found = answered([*["poison"] * 9, "a"], max_rows=9)
    assert sorted(found.failures) == [*range(9)] and found.labels[9] == "short"


def test_no_rows_get_no_answers() -> None:
    found = answered([])
    assert found.labels == [] and found.probabilities.shape == (0, 0)
