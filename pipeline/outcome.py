"""What a run has made -> how it ended, and what its report is made of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ..components.contracts import (
    Choice,
    EvalReport,
    Handoff,
    Judgement,
    LoadReport,
    Servable,
    ShardSet,
    TrainedModel,
)
from .errors import StageError

Status = Literal["blessed", "refused", "failed", "partial"]

_NAMES: dict[type, str] = {
    ShardSet: "shards",
    TrainedModel: "model",
    Servable: "servable",
    EvalReport: "evaluation",
    Judgement: "judgement",
    Choice: "choice",
    LoadReport: "load",
    Handoff: "handoff",
}


def status(
    judged: Mapping[type, Any], artifacts: Iterable[Any], error: StageError | None
) -> Status:
    """`judged` are those of the variant that was chosen, `artifacts` all."""
    if error is not None:
        return "failed"
    servable, choice = judged.get(Servable), judged.get(Choice)
    handoff = judged.get(Handoff)
    if handoff is not None and handoff.bundle_dir is None:
        return "refused"
    if choice is not None:
        return "refused" if choice.chosen is None else "blessed"
    verdicts = [one.verdict for one in artifacts if isinstance(one, Judgement)]
    if verdicts and not any(verdict.blessed for verdict in verdicts):
        return "refused"
    if not verdicts and servable is not None and not servable.parity.passed:
        return "refused"
    return "partial"


def by_name(artifacts: Mapping[type, Any]) -> dict[str, Any]:
    """The artifacts under the names that the report knows them by."""
    return {_NAMES[kind]: artifact for kind, artifact in artifacts.items() if kind in _NAMES}
