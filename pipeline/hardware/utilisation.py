"""What a training made of its chips: FLOPs of the model against the peak. Pure.

Model FLOP utilisation as of Chowdhery et al. 2022 (https://arxiv.org/abs/2204.02311, appendix B):
the FLOPs that the model's matrix products need, however often rematerialisation runs them, divided
by what the chips could have computed in the same time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...components.contracts import TrainedModel
from . import chips
from .preflight.result import model_flops


@dataclass(frozen=True, kw_only=True)
class Utilisation:
    """Of the training steps that the clock saw."""

    chip: str  # the slice, e.g. v5e-8
    share: float  # of the peak


def seconds_at_peak(
    preflights: Sequence[Mapping[str, Any]],
    *,
    accelerator: str,
    num_parameters: int,
    precision: str,
    rows_by_width: Mapping[int, int],
) -> dict[int, float] | None:
    """See `components.stage.SecondsAtPeak`.

    None without a chip that is known, or a preflight of this chip, model and these batches.
    """
    trained = (accelerator, num_parameters, precision, dict(rows_by_width))
    for facts in preflights:
        compiled = {width["width"]: width["global_batch_size"] for width in facts["widths"]}
        if (facts["chip"], facts["num_parameters"], facts["precision"], compiled) == trained:
            target = chips.parse(accelerator)
            peak = target.num_chips * target.chip.peak_flops_per_s
            return {width: flops / peak for width, flops in model_flops(facts).items()}
    return None


def utilisation(model: TrainedModel, preflights: Sequence[Mapping[str, Any]]) -> Utilisation | None:
    """None as of `seconds_at_peak`, or where no step was timed."""
    by_width = seconds_at_peak(
        preflights,
        accelerator=model.accelerator,
        num_parameters=model.num_parameters,
        precision=model.precision,
        rows_by_width=dict(zip(model.batch_widths, model.batch_rows, strict=True)),
    )
    if by_width is None or not model.timed_seconds:
        return None
    timed = zip(model.batch_widths, model.timed_steps, strict=True)
    seconds = sum(steps * by_width[width] for width, steps in timed)
    return Utilisation(chip=model.accelerator, share=seconds / model.timed_seconds)
