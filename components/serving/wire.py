"""Answers over a wire against those in process: the same texts, in the same batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..contracts import WireCheck
from ..messy import MESSY_TEXTS
from .agreement import Answer, Rule, difference, disagreement
from .answering import LABEL, LABELS_ON, PROBABILITIES, SCORE
from .targets import Asked

if TYPE_CHECKING:
    import numpy as np

BATCH = 8
SHOWN_CHARACTERS = 60

Row = tuple[str | bytes, ...]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """To N texts, in process."""

    rows: tuple[Row, ...]  # (text,) or (text, text pair)
    labels: tuple[bytes, ...]
    scores: tuple[float, ...]
    probabilities: tuple[tuple[float, ...], ...]

    def answer(self, row: int) -> Answer:
        """To one of them."""
        return Answer(
            label=self.labels[row], score=self.scores[row], probabilities=self.probabilities[row]
        )


def texts_to_ask(rows: Sequence[tuple[str, ...]]) -> tuple[Row, ...]:
    """The fixed messy texts, then the rows. Of a pair, both are messy."""
    num_columns = len(rows[0])
    return (*((text,) * num_columns for text in MESSY_TEXTS), *rows)


def ask(client: Asked, rows: Sequence[Row]) -> Answers:
    """What `client` answers, in batches of `BATCH`."""
    labels: list[bytes] = []
    scores: list[float] = []
    probabilities: list[tuple[float, ...]] = []
    for start in range(0, len(rows), BATCH):
        answer = client.texts(list(zip(*rows[start : start + BATCH], strict=True)))
        labels += answer[LABEL].tolist()
        scores += answer[SCORE].tolist()
        probabilities += map(tuple, answer[PROBABILITIES].tolist())
    return Answers(
        rows=tuple(rows),
        labels=tuple(labels),
        scores=tuple(scores),
        probabilities=tuple(probabilities),
    )


def check(client: Asked, expected: Answers, *, target: str, rule: Rule) -> WireCheck:
    """Asks for every row again and names the first that is answered otherwise."""
    largest, first, num_answered, single = 0.0, "", 0, rule.label_separator is None
    for start in range(0, len(expected.rows), BATCH):
        rows = expected.rows[start : start + BATCH]
        try:
            answer = client.texts(list(zip(*rows, strict=True)))
        except Exception as error:  # whatever it is, there is no answer where there should be one
            first = first or f"{_shown(rows[0])}: no answer: {type(error).__name__}: {error}"
            continue
        num_answered += len(rows)
        num_labels = len(expected.probabilities[start])
        if problem := _malformed(answer, len(rows), num_labels, rule):
            first = first or f"{_shown(rows[0])}: {problem}"
            continue
        for index, row in enumerate(rows):
            given = Answer(
                label=answer[LABEL][index],
                score=float(answer[SCORE][index]),
                probabilities=answer[PROBABILITIES][index].tolist(),
                labels_on=None if single else answer[LABELS_ON][index].tolist(),
            )
            wanted = expected.answer(start + index)
            largest = max(largest, difference(given, wanted))
            if (problem := disagreement(given, wanted, rule)) and not first:
                first = f"{_shown(row)}: {problem}"
    return WireCheck(
        target=target,
        num_texts=len(expected.rows),
        num_answered=num_answered,
        max_abs_diff=largest,
        tolerance=rule.tolerance,
        first_difference=first,
    )


def _malformed(answer: dict[str, np.ndarray], num_rows: int, num_labels: int, rule: Rule) -> str:
    """What is wrong with the shapes of an answer."""
    each: tuple[int, ...] = (num_rows,)
    wanted = {LABEL: each, SCORE: each, PROBABILITIES: (num_rows, num_labels)}
    if rule.label_separator is not None:
        wanted[LABELS_ON] = (num_rows, num_labels)
    shapes = {name: answer[name].shape if name in answer else None for name in wanted}
    wrong = [f"{name} {shapes[name]}" for name in wanted if shapes[name] != wanted[name]]
    return f"shapes must be {wanted}; received {', '.join(wrong)}" if wrong else ""


def _shown(row: Row) -> str:
    return ascii(row[0] if len(row) == 1 else row)[:SHOWN_CHARACTERS]
