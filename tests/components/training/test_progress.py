"""Which window of steps is to blame for a validation loss that broke."""

from __future__ import annotations

import pytest

from tpuline.components.training.progress import Progress


@pytest.mark.parametrize(
    ("step", "last"),
    [
        (20, range(10, 20)),
        (25, range(20, 25)),  # the tail of an epoch is a window of its own
        (5, range(5)),
        (0, range(0)),
    ],
)
def test_last_window_is_the_one_that_went_through_last(step: int, last: range) -> None:
    progress = Progress(epoch=3, step=step, skipped=[(3, 0, 10, "why"), (2, 0, 25, "why")])
    assert progress.last_window(10) == last
    assert progress.is_skipped(last) == (step == 5)
