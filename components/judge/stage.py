"""EvalReport, Servable -> Judgement: whether what was measured may be handed over.

A stage of its own, so that another gate evaluates nothing anew. Its config is the gates.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..contracts import EvalReport, Judgement, Servable
from ..serving import servable_ops
from ..stage import Context
from .gates import Gates, judge, measured, set_gates, verdict

VERSION = 1
EACH_VARIANT = True
OF_MEASUREMENTS = True

Config = Gates


@dataclass(frozen=True, kw_only=True)
class Inputs:
    report: EvalReport
    servable: Servable


Output = Judgement


def run(config: Gates, inputs: Inputs, ctx: Context) -> Judgement:
    """Parity and ops are judged whatever the gates are."""
    servable = inputs.servable
    results = judge(
        config,
        measured(inputs.report, servable.size_bytes),
        servable.parity,
        unservable=_unservable(servable),
    )
    if not any(set_gates(config)):
        ctx.log.warning(
            "no quality gate is set, so only what always applies was judged: the section judge "
            "says what a model must reach, e.g. judge.min_accuracy"
        )
    return Judgement(uri=str(ctx.workdir), gates=results, verdict=verdict(results))


def _unservable(servable: Servable) -> tuple[str, ...] | None:
    """What a model server could not run; of other formats there is no such server."""
    if not servable.is_saved_model:
        return None
    return servable_ops.problems(Path(servable.uri) / servable.saved_model_dir)
