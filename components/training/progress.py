"""How far a training is, and what its windows of steps sum up to. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

SUMS = ("loss", "hits", "rows", "tokens", "found", "named")
"""Over the rows of a window, in the order in which the devices keep them. Of rows with several
labels `hits` is the share of labels that are rightly on or off, `found` counts those that are
rightly on, and `named` those that are on, in the answer and in truth together."""


class BrokenLoss(FloatingPointError):
    """A window of steps that made the loss, the validation loss or a weight not a finite number."""

    def __init__(self, reason: str, *, epoch: int, window: range) -> None:
        super().__init__(reason)
        self.epoch, self.window = epoch, window  # counted from 0; batches of the epoch


@dataclass(kw_only=True)
class Totals:
    """Sums over rows, and the steps that they come from."""

    loss: float = 0.0
    hits: float = 0.0
    rows: float = 0.0
    tokens: float = 0.0
    found: float = 0.0
    named: float = 0.0
    steps_by_width: list[float] = field(default_factory=list)  # halves where two hosts differ

    def add(self, other: Totals) -> None:
        """Adds the sums of one more window."""
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        ours = self.steps_by_width or [0.0] * len(other.steps_by_width)
        self.steps_by_width = [a + b for a, b in zip(ours, other.steps_by_width, strict=True)]

    def means(self) -> dict[str, float]:
        """What Keras' callbacks see: `loss` and `accuracy`, means over rows, and where rows have
        several labels `micro_f1`.
        """
        rows = self.rows or 1.0
        means = {"loss": self.loss / rows, "accuracy": self.hits / rows}
        return means | ({"micro_f1": 2 * self.found / self.named} if self.named else {})


@dataclass(kw_only=True)
class Progress:
    """Where in the data the training is. `step` counts batches of the epoch, skipped ones too."""

    epoch: int = 0
    step: int = 0
    num_steps: int = 0  # of the optimizer, since the training began
    is_over: bool = False  # a callback has said so
    skipped: list[tuple[int, int, int, str]] = field(default_factory=list)
    """Epoch counted from 0, first batch, end of the batches that were left out; why."""

    def is_skipped(self, window: range) -> bool:
        """Whether the batches of a window of this epoch are to be left out."""
        return any(
            epoch == self.epoch and first < window.stop and window.start < end
            for epoch, first, end, _ in self.skipped
        )

    def last_window(self, steps_per_call: int) -> range:
        """The last batches of this epoch that went through in one call, left out or not."""
        return range(max(0, self.step - 1) // steps_per_call * steps_per_call, self.step)
