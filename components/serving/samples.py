"""Requests with the answers expected of them, as JSON: what two ways to one model must agree on.

    {"inputs": {"text": ["...", {"b64": "..."}]}, "labels": ["...", null],
     "expected": {"label": [...], "score": [...], "probabilities": [[...]]}}

`inputs` are what TF Serving's REST interface takes; bytes that are no UTF-8 go as base64. `labels`
are true ones, null where there is none.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..example_spec import TEXT, TEXT_PAIR
from .agreement import Answer, Rule, disagreement
from .answering import LABEL, PROBABILITIES, SCORE

Columns = Sequence[Sequence[bytes]]
"""(texts,) or (texts, text pairs)."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """N rows."""

    columns: tuple[tuple[bytes, ...], ...]
    labels: tuple[str | None, ...]
    expected_labels: tuple[str, ...]
    expected_scores: tuple[float, ...]
    expected_probabilities: tuple[tuple[float, ...], ...]

    def __len__(self) -> int:
        return len(self.labels)

    def expected(self, row: int) -> Answer:
        """To one of them."""
        return Answer(
            label=self.expected_labels[row].encode(),
            score=self.expected_scores[row],
            probabilities=self.expected_probabilities[row],
        )


def dumps(samples: Samples) -> str:
    """As JSON; the same samples give the same text."""
    names = (TEXT, TEXT_PAIR)[: len(samples.columns)]
    document = {
        "signature_name": "serving_default",
        "inputs": {
            name: [encoded(text) for text in column]
            for name, column in zip(names, samples.columns, strict=True)
        },
        "labels": samples.labels,
        "expected": {
            LABEL: samples.expected_labels,
            SCORE: samples.expected_scores,
            PROBABILITIES: samples.expected_probabilities,
        },
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def loads(text: str | bytes) -> Samples:
    """Raises `ValueError` for what `dumps` did not write."""
    try:
        document = json.loads(text)
        expected = document["expected"]
        samples = Samples(
            columns=tuple(
                tuple(_decoded(value) for value in column) for column in document["inputs"].values()
            ),
            labels=tuple(None if one is None else _text(one) for one in document["labels"]),
            expected_labels=tuple(_text(label) for label in expected[LABEL]),
            expected_scores=tuple(float(score) for score in expected[SCORE]),
            expected_probabilities=tuple(
                tuple(float(p) for p in row) for row in expected[PROBABILITIES]
            ),
        )
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(
            f"samples: must be as they were written; received others ({error!r})"
        ) from error
    sizes = {len(column) for column in (*samples.columns, *_answers(samples))}
    if sizes != {len(samples)}:
        raise ValueError(f"samples: every column must have one value a row; received {sizes}")
    return samples


def encoded(text: bytes) -> str | dict[str, str]:
    """A string value for TF Serving's REST interface."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(text).decode()}


def disagreements(samples: Samples, answers: Sequence[Answer], rule: Rule) -> list[tuple[int, str]]:
    """Rows that are answered otherwise than expected, with what is wrong."""
    found = []
    for row, given in enumerate(answers):
        if problem := disagreement(given, samples.expected(row), rule):
            found.append((row, problem))
    return found


def accuracy(samples: Samples, labels_N: Sequence[str]) -> float | None:
    """Of the rows with a true label; None where none has one."""
    pairs = [(t, p) for t, p in zip(samples.labels, labels_N, strict=True) if t is not None]
    return sum(t == p for t, p in pairs) / len(pairs) if pairs else None


def _text(value: Any) -> str:
    """Raises for what is none, and for half a surrogate pair, which no model answers."""
    value.encode()
    return str(value)


def _decoded(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return base64.b64decode(value["b64"], validate=True)


def _answers(samples: Samples) -> tuple[Sequence[Any], ...]:
    return samples.expected_labels, samples.expected_scores, samples.expected_probabilities
