"""FLOPs, bytes, gradients and a slice -> the least time that a step can take. Pure.

The roofline model: a program computes at the chip's peak, or moves bytes at its full bandwidth,
whichever takes longer (https://dl.acm.org/doi/10.1145/1498765.1498785). Then the gradients are
summed over the chips by a ring (https://arxiv.org/abs/1802.05799, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..chips import Slice

LEAVES_OUT = (
    "input from the host, launches, evaluation, and that no program computes at the peak; the "
    "all-reduce is taken to use every link and not to overlap with the backward pass"
)
"""What a prediction does not know of."""


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """What bounds a step, and how long it takes at the least."""

    bound: Literal["compute", "memory"]
    compute_s: float
    memory_s: float
    all_reduce_s: float
    step_time_s: float
    examples_per_s: float  # of the slice
    flops_per_byte: float  # arithmetic intensity of the program
    balance_flops_per_byte: float  # of the chip; above it, compute bounds


def roofline(
    target: Slice,
    *,
    flops: float,
    moved_bytes: float,
    gradient_bytes: float,
    global_batch_size: int,
) -> Roofline:
    """Of one step. `flops` and `moved_bytes` are of one replica, `gradient_bytes` of the model.

    Chips that hold two replicas give each half of their peak and of their bandwidth.
    """
    chip = target.chip
    peak, bandwidth = chip.peak_flops_per_s / chip.replicas, chip.hbm_bytes_per_s / chip.replicas
    compute_s, memory_s = flops / peak, moved_bytes / bandwidth
    exchange_s = all_reduce_s(
        gradient_bytes, num_chips=target.num_chips, ici_bytes_per_s=chip.ici_bytes_per_s
    )
    step_time_s = max(compute_s, memory_s) + exchange_s
    return Roofline(
        bound="compute" if compute_s >= memory_s else "memory",
        compute_s=compute_s,
        memory_s=memory_s,
        all_reduce_s=exchange_s,
        step_time_s=step_time_s,
        examples_per_s=global_batch_size / step_time_s if step_time_s else 0.0,
        flops_per_byte=flops / moved_bytes if moved_bytes else 0.0,
        balance_flops_per_byte=peak / bandwidth,
    )


def all_reduce_s(gradient_bytes: float, *, num_chips: int, ici_bytes_per_s: float | None) -> float:
    """Of a ring: each chip sends 2 (n - 1) / n of the gradients.

    `ici_bytes_per_s` adds up both directions, as chips are sold; half of it is for sending. Nothing
    where no bandwidth is published.
    """
    if num_chips == 1 or not ici_bytes_per_s:
        return 0.0
    return 2 * (num_chips - 1) / num_chips * gradient_bytes / (ici_bytes_per_s / 2)


def cost_usd(target: Slice, seconds: float) -> float | None:
    """At the public price on demand, `chips.CHIPS`; None where there is none."""
    price = target.chip.usd_per_hour
    return None if price is None else price * target.num_chips * seconds / 3600
