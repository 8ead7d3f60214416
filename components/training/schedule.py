"""Step -> learning rate: linear warmup, then linear decay to zero. Pure."""

from __future__ import annotations

from typing import Any


def num_warmup_steps(total_steps: int, warmup_share: float) -> int:
    """At least one step is left for the decay."""
    return min(round(total_steps * warmup_share), total_steps - 1)


def learning_rate(
    step: Any, *, peak: float, warmup_steps: int, total_steps: int, minimum: Any = min
) -> Any:
    """The rate of the update that follows `step` updates.

    It rises from `peak / warmup_steps` to `peak`, then falls by equal amounts, and would be 0 at
    `total_steps`. `step` may be a number, or a tensor with `minimum` taking tensors.
    """
    rise = (step + 1) / max(warmup_steps, 1)
    fall = (total_steps - step) / (total_steps - warmup_steps)
    return peak * minimum(1.0, minimum(rise, fall)) if warmup_steps else peak * fall
