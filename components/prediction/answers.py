"""Texts -> answers of a model, row by row the same whatever stands beside a row. Pure.

A batch in which the model fails is asked again one row at a time, so a row that it cannot take
costs no other its answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..serving.answering import LABEL, PROBABILITIES, SCORE
from .batches import batches

if TYPE_CHECKING:
    import numpy as np

Columns = tuple[list[str], ...]
"""B texts: (texts,), or (texts, text pairs)."""

Ask = Callable[[Columns], Mapping[str, Any]]
"""As `Answering.texts`."""

MAX_TOLD = 160  # characters of an error
_OP_NUMBER = re.compile(r" \[Op:[^]]*\]$")  # of TensorFlow's, another one in each process

PLAIN = "a text like any other"
"""When rows fail and the model cannot answer this either, the fault is its own, not theirs."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """By row: what the model says, or why it says nothing."""

    labels: list[str]  # "" where there is no answer
    scores: np.ndarray  # float32 (B,)
    probabilities: np.ndarray  # float32 (B, C); (B, 0) when no row has an answer
    failures: dict[int, str]  # row -> what went wrong


def answers(ask: Ask, columns: Columns, *, max_rows: int) -> Answers:
    """The answers to B rows, asked in batches of about one length.

    Raises:
        RuntimeError: the model fails whatever it is asked.
    """
    lengths = [sum(map(len, row)) for row in zip(*columns, strict=True)]
    labels = [""] * len(lengths)
    failures: dict[int, str] = {}
    found: dict[int, Any] = {}
    for batch in batches(lengths, max_rows):
        for place, answer in zip(batch, _asked(ask, _picked(columns, batch)), strict=True):
            if isinstance(answer, str):
                failures[place] = answer
            else:
                labels[place], found[place] = answer[0], answer[1:]
    return _gathered(labels, found, failures)


Answer = tuple[str, float, Any]


def _asked(ask: Ask, columns: Columns) -> list[Answer | str]:
    """By row: label, score and probabilities (C,), or what went wrong."""
    num_rows = len(columns[0])
    try:
        found = _rows(ask(columns))
    except Exception as error:  # of whatever runtime; none is left untold
        if num_rows == 1:
            found = [_told(error)]
        else:
            found = [_alone(ask, _picked(columns, [row])) for row in range(num_rows)]
    if all(isinstance(answer, str) for answer in found):
        _check_model(ask, num_columns=len(columns))
    return found


def _alone(ask: Ask, row: Columns) -> Answer | str:
    try:
        return _rows(ask(row))[0]
    except Exception as error:
        return _told(error)


def _check_model(ask: Ask, *, num_columns: int) -> None:
    answer = _alone(ask, tuple([PLAIN] for _ in range(num_columns)))
    if isinstance(answer, str):
        raise RuntimeError(
            f"MODEL: must answer texts; it fails on {PLAIN!r}: {answer}; export it again"
        )


def _rows(outputs: Mapping[str, Any]) -> list[Answer | str]:
    import numpy as np

    labels = [label.decode("utf-8", "replace") for label in outputs[LABEL]]
    probabilities = outputs[PROBABILITIES]
    sound = np.isfinite(probabilities).all(axis=1)
    return [
        (label, score, row) if is_sound else "a probability is no finite number"
        for label, score, row, is_sound in zip(
            labels, outputs[SCORE], probabilities, sound, strict=True
        )
    ]


def _gathered(labels: list[str], found: dict[int, Any], failures: dict[int, str]) -> Answers:
    import numpy as np

    num_labels = len(next(iter(found.values()))[1]) if found else 0
    scores = np.full(len(labels), np.nan, np.float32)
    probabilities = np.full((len(labels), num_labels), np.nan, np.float32)
    for place, (score, row) in found.items():
        scores[place], probabilities[place] = score, row
    return Answers(labels=labels, scores=scores, probabilities=probabilities, failures=failures)


def _picked(columns: Columns, places: Sequence[int]) -> Columns:
    return tuple([column[place] for place in places] for column in columns)


def _told(error: Exception) -> str:
    """On one line, and of a long one the end: TensorFlow begins with where, not with what."""
    words = _OP_NUMBER.sub("", " ".join(str(error).split()))
    end = words if len(words) <= MAX_TOLD else f"…{words[-MAX_TOLD:]}"
    return f"{type(error).__name__}: {end}"
