"""Warmup and decay of the learning rate."""

from __future__ import annotations

import pytest

from tpuline.components.training import schedule


def rates(peak: float, warmup_steps: int, total_steps: int) -> list[float]:
    return [
        schedule.learning_rate(s, peak=peak, warmup_steps=warmup_steps, total_steps=total_steps)
        for s in range(total_steps + 1)
    ]


def test_rate_rises_to_its_peak_then_falls_to_zero_by_equal_steps() -> None:
    assert rates(1.0, 2, 6) == pytest.approx([0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0])


def test_rate_without_warmup_starts_at_its_peak() -> None:
    assert rates(0.5, 0, 2) == pytest.approx([0.5, 0.25, 0.0])


@pytest.mark.parametrize(("total", "share", "steps"), [(10, 0.1, 1), (10, 0.0, 0), (1, 0.9, 0)])
def test_warmup_takes_its_share_but_never_all_steps(total: int, share: float, steps: int) -> None:
    assert schedule.num_warmup_steps(total, share) == steps


@pytest.mark.parametrize("warmup_steps", [0, 3])
def test_keras_schedule_gives_the_same_rates(warmup_steps: int) -> None:
    from tpuline.components.training.optimizer import LinearSchedule

    keras_schedule = LinearSchedule(peak=0.01, warmup_steps=warmup_steps, total_steps=8)
    assert [float(keras_schedule(s)) for s in range(9)] == pytest.approx(
        rates(0.01, warmup_steps, 8), abs=1e-8
    )
