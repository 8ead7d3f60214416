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


def utilisation(model: TrainedModel, preflights: Sequence[Mapping[str, Any]]) -> Utilisation | None:
    """None without a chip that is known, or a preflight of this chip, model and these batches."""
    if not model.accelerator or not model.timed_seconds:
        return None
    shapes = dict(zip(model.batch_widths, model.batch_rows, strict=True))
    trained = (model.accelerator, model.num_parameters, model.precision, shapes)
    for facts in preflights:
        compiled = {width["width"]: width["global_batch_size"] for width in facts["widths"]}
        if (facts["chip"], facts["num_parameters"], facts["precision"], compiled) != trained:
            continue
        by_width = model_flops(facts)
        timed = zip(model.batch_widths, model.timed_steps, strict=True)
        flops = sum(steps * by_width[width] for width, steps in timed)
        target = chips.parse(model.accelerator)
        peak = target.num_chips * target.chip.peak_flops_per_s
        return Utilisation(chip=target.name, share=flops / (model.timed_seconds * peak))
    return None
