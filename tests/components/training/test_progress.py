"""Which window of steps is to blame for a validation loss that broke."""

from __future__ import annotations

import pytest

from tpuline.components.training.progress import Progress


@pytest.mark.parametrize(
    ("step", "skipped", "last"),
    [
        (20, (), range(10, 20)),
        (25, (), range(20, 25)),  # the tail of an epoch is a window of its own
        (25, ((20, 25),), range(10, 20)),
        (25, ((10, 20), (20, 25)), range(10)),
        (5, (), range(5)),
    ],
)
def test_last_window_is_the_one_that_was_trained_on(
    step: int, skipped: tuple[tuple[int, int], ...], last: range
) -> None:
    left_out = [(3, first, end, "why") for first, end in skipped]
    progress = Progress(epoch=3, step=step, skipped=left_out)
    assert progress.last_window(10) == last
    assert not progress.is_skipped(last)


def test_epoch_of_which_all_was_left_out_has_no_other_window_to_blame() -> None:
    progress = Progress(epoch=3, step=5, skipped=[(3, 0, 5, "why")])
    assert progress.is_skipped(progress.last_window(10))
