"""EvalReports, Servables -> Choice: the variants side by side, and the one to hand over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..contracts import Choice, EvalReport, Servable, VariantResult
from ..stage import Context
from .choosing import Rule, choose, remarks, with_front

if TYPE_CHECKING:
    import numpy as np

VERSION = 1
USES = frozenset({"seed"})

BOOTSTRAP_SAMPLES = 1000


@dataclass(frozen=True, kw_only=True)
class Config:
    """How the variant to hand over is chosen."""

    rule: Rule = field(default_factory=Rule)
    usd_per_hour: float | None = None  # of the machine that serves; null leaves costs out

    def __post_init__(self) -> None:
        if self.usd_per_hour is not None and not 0 < self.usd_per_hour < 10_000:
            raise ValueError(
                f"usd_per_hour: must be above 0, or null; received {self.usd_per_hour}; e.g. 0.4"
            )


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """By the names of the variants, the model as it was trained first."""

    reports: Mapping[str, EvalReport]
    servables: Mapping[str, Servable]


Output = Choice


def run(config: Config, inputs: Inputs, ctx: Context) -> Choice:
    """Compares answers row by row with those of the base."""
    reports, servables = inputs.reports, inputs.servables
    base = next(iter(reports))
    right = {name: _right(report) for name, report in reports.items()}
    results = [
        _result(name, report, servables[name], right[name], right[base], config, ctx.seed)
        for name, report in reports.items()
    ]
    results = [
        VariantResult(**(vars(result) | {"remarks": remarks(result, results[0])}))
        for result in results
    ]
    chosen, reason = choose(results, config.rule)
    return Choice(
        uri=str(ctx.workdir),
        batch_size=min(profile.batch_size for profile in reports[base].latency),
        variants=with_front(results),
        chosen=chosen,
        reason=reason,
    )


def _right(report: EvalReport) -> np.ndarray:
    """Which rows were answered rightly, bool `(N,)`."""
    import numpy as np

    with np.load(Path(report.uri) / report.predictions_file, allow_pickle=False) as found:
        same: np.ndarray = found["labels"] == found["predicted"]
    return same if same.ndim == 1 else np.asarray(same.all(axis=1))


def _result(
    name: str,
    report: EvalReport,
    servable: Servable,
    right_N: np.ndarray,
    base_right_N: np.ndarray,
    config: Config,
    seed: int,
) -> VariantResult:
    from .. import paired

    smallest = min(report.latency, key=lambda profile: profile.batch_size)
    texts_per_s = max(profile.texts_per_s for profile in report.latency)
    price = config.usd_per_hour
    counts = paired.gained_and_lost(right_N, base_right_N)
    return VariantResult(
        name=name,
        accuracy=report.accuracy,
        difference=paired.difference(*counts, len(right_N), samples=BOOTSTRAP_SAMPLES, seed=seed),
        p_value=paired.mcnemar(*counts),
        p50_ms=smallest.p50_ms,
        p99_ms=smallest.p99_ms,
        texts_per_s=texts_per_s,
        size_bytes=servable.size_bytes,
        usd_per_million=None if price is None else price * 1e6 / texts_per_s / 3600,
        blessed=report.verdict.blessed,
        on_front=False,
        remarks=(),
    )
