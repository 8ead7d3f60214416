"""The linear reference on rows with none, one or several labels."""

from __future__ import annotations

import warnings

import numpy as np

from tpuline.components.reference.linear import LinearReference
from tpuline.components.texts import Window

from .conftest import Recorder

TEXTS = ["a red ball", "a blue ball", "a red and blue ball", "a ball"]
LABELS = [[0, 2], [1, 2], [0, 1, 2], [2]]


def window(times: int) -> Window:
    return Window(start=0, texts=TEXTS * times, text_pairs=None, labels=LABELS * times)


def test_each_label_is_answered_for_itself(log: Recorder) -> None:
    model = LinearReference.fit([window(20)], 0, log, num_labels=4)
    expected = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 1, 0], [0, 0, 1, 0]], bool)
    np.testing.assert_array_equal(model.answers(window(1)), expected)
    np.testing.assert_array_equal(model.targets(LABELS), expected)


def test_labels_that_all_or_no_rows_have_give_no_warning(log: Recorder) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LinearReference.fit([window(20)], 0, log, num_labels=4)
    assert model.answers(window(1))[:, 2:].tolist() == [[True, False]] * 4
