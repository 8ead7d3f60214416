"""Answers to a window of rows -> those that a report shows with their texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..contracts import ShownRow
from ..label_sets import multi_hot
from ..texts import Window
from .metrics import right
from .several import certainty

if TYPE_CHECKING:
    import numpy as np

MAX_CHARACTERS = 500

NO_LABEL = "(no label)"
"""What is shown of a row without any."""

Ranked = tuple[float, int, ShownRow]
"""What it is ranked by, the least first; the number of the row; the row."""


@dataclass(kw_only=True)
class Gallery:
    """The most confident wrong answers and the least confident right ones, a few of each."""

    num_mistakes: int
    num_doubts: int
    label_names: tuple[str, ...]
    separator: str | None = None  # between the labels of a row, of which there may be several
    _mistakes: list[Ranked] = field(default_factory=list)
    _doubts: list[Ranked] = field(default_factory=list)

    def add(self, window: Window, predicted_B: np.ndarray, probabilities_BC: np.ndarray) -> None:
        """Looks through the answers to a window: label ids `(B,)`, or bool `(B, C)`, in which case
        the score is that of the least certain label.
        """
        import numpy as np

        if self.separator is None:
            wrong_B = predicted_B != np.array(window.labels)
            scores_B = probabilities_BC[np.arange(len(window)), predicted_B]
        else:
            labels_BC = multi_hot(window.labels, len(self.label_names))
            wrong_B = ~right(labels_BC, predicted_B)
            scores_B = certainty(predicted_B, probabilities_BC)
        for kept, which_B, ranks_B, most in (
            (self._mistakes, wrong_B, -scores_B, self.num_mistakes),
            (self._doubts, ~wrong_B, scores_B, self.num_doubts),
        ):
            rows = np.flatnonzero(which_B)
            for row in rows[np.argsort(ranks_B[rows], kind="stable")][:most].tolist():
                shown = self._shown(window, row, predicted_B[row], float(scores_B[row]))
                kept.append((float(ranks_B[row]), window.start + row, shown))
            kept.sort(key=lambda entry: entry[:2])
            del kept[most:]

    @property
    def mistakes(self) -> tuple[ShownRow, ...]:
        """Wrong answers, the most confident first."""
        return tuple(row for _, _, row in self._mistakes)

    @property
    def doubts(self) -> tuple[ShownRow, ...]:
        """Right answers, the least confident first."""
        return tuple(row for _, _, row in self._doubts)

    def _shown(self, window: Window, row: int, predicted: Any, score: float) -> ShownRow:
        label, answered = window.labels[row], predicted
        if self.separator is not None:
            answered = predicted.nonzero()[0]
        return ShownRow(
            text=_cut(window, row),
            label=self._named(label),
            predicted=self._named(answered),
            score=score,
        )

    def _named(self, label: Any) -> str:
        """A label id, or several, in words."""
        if self.separator is None:
            return self.label_names[label]
        return self.separator.join(self.label_names[one] for one in label) or NO_LABEL


def _cut(window: Window, row: int) -> str:
    """The text, or both texts, cut to what a report can show."""
    text = window.texts[row]
    if window.text_pairs is not None:
        text = f"{text} | {window.text_pairs[row]}"
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"
