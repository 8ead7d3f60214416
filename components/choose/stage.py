"""EvalReports, Judgements, Servables, ShardSet -> Choice: the variants and the one to hand over.

All are timed once more, in turns, those that are refused too: evaluate times one after the other,
and what else the machine does meanwhile would decide, and stand in the plot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from .. import paired, texts
from ..contracts import Choice, EvalReport, Format, Judgement, Servable, ShardSet, VariantResult
from ..stage import Context
from ..turns import Speed, Turns
from .choosing import Rule, choose, remarks, with_front

if TYPE_CHECKING:
    import numpy as np

VERSION = 8
USES = frozenset({"seed", "machine"})
OF_MEASUREMENTS = True

BOOTSTRAP_SAMPLES = 1000

MAX_ROWS = 1024
"""Different ones that the requests are made of."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """How the variant to hand over is chosen."""

    rule: Rule = field(default_factory=Rule)
    turns: Turns = field(default_factory=Turns)  # rounds 0: what evaluate saw of each alone counts
    usd_per_hour: float | None = None  # of the machine that serves; null leaves costs out

    def __post_init__(self) -> None:
        if self.usd_per_hour is not None and not 0 < self.usd_per_hour < 10_000:
            raise ValueError(
                f"usd_per_hour: must be above 0, or null; received {self.usd_per_hour}; e.g. 0.4"
            )


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """By the names of the variants, the model as it was trained first."""

    shards: ShardSet
    reports: Mapping[str, EvalReport]
    judgements: Mapping[str, Judgement]
    servables: Mapping[str, Servable]


Output = Choice


def run(config: Config, inputs: Inputs, ctx: Context) -> Choice:
    """Compares answers row by row with those of the base."""
    reports, servables = inputs.reports, inputs.servables
    base = next(iter(reports))
    right = {name: _right(report) for name, report in reports.items()}
    speeds = _in_turns(config, inputs, ctx)

    def result(name: str, in_turns: Speed | None) -> VariantResult:
        counts = paired.gained_and_lost(right[name], right[base])
        return _result(
            reports[name],
            servables[name],
            name=name,
            counts=counts,
            num_rows=len(right[name]),
            in_turns=in_turns,
            usd_per_hour=config.usd_per_hour,
            blessed=inputs.judgements[name].verdict.blessed,
            seed=ctx.seed,
        )

    results = [result(name, speeds.get(name)) for name in reports]
    # Those that were not timed in turns are compared with what the base took alone.
    bases = {True: results[0], False: result(base, None)}
    results = [replace(one, remarks=remarks(one, bases[one.in_turns])) for one in results]
    chosen, reason = choose(results, config.rule)
    any_format = replace(config.rule, formats=get_args(Format))
    best, _ = choose(results, any_format)
    if best != chosen:
        ctx.log.warning(
            f"choose: {best} would be handed over, were {servables[best or base].format} among "
            "choose.rule.formats"
        )
    return Choice(
        uri=str(ctx.workdir),
        batch_size=min(profile.batch_size for profile in reports[base].latency),
        large_batch_size=max(profile.batch_size for profile in reports[base].latency),
        variants=with_front(results),
        chosen=chosen,
        reason=reason,
    )


def _in_turns(config: Config, inputs: Inputs, ctx: Context) -> dict[str, Speed]:
    """Of all; where that fails, of the base and those that are blessed; where that fails, of none.

    Empty, too, where there is only one.
    """
    reports = inputs.reports
    base = next(iter(reports))
    judged = inputs.judgements
    blessed = [name for name in reports if name == base or judged[name].verdict.blessed]
    if len(reports) < 2 or not config.turns.rounds:
        return {}
    from .turns_process import measure_in_turns

    rows = texts.sample_rows(inputs.shards, reports[base].split, num_rows=MAX_ROWS, seed=ctx.seed)
    for timed in dict.fromkeys((tuple(reports), tuple(blessed))):
        if len(timed) < 2:
            break
        ctx.log.info(f"timing {', '.join(timed)} in turns, in a fresh process", rows=len(rows))
        try:
            return measure_in_turns(
                {name: inputs.servables[name] for name in timed},
                rows,
                batch_sizes=[profile.batch_size for profile in reports[base].latency],
                settings=config.turns,
                log=ctx.log,
            )
        except RuntimeError as error:  # all of them together may take more memory than there is
            ctx.log.warning(
                f"choose: {', '.join(timed)} could not be timed in turns ({error}); what each took "
                "alone counts, unless those that may be chosen can be timed without the others; "
                "choose.turns.rounds: 0 leaves it out"
            )
    return {}


def _right(report: EvalReport) -> np.ndarray:
    """Which rows were answered rightly, bool `(N,)`."""
    import numpy as np

    with np.load(Path(report.uri) / report.predictions_file, allow_pickle=False) as found:
        same: np.ndarray = found["labels"] == found["predicted"]
    return same if same.ndim == 1 else np.asarray(same.all(axis=1))


def _result(
    report: EvalReport,
    servable: Servable,
    *,
    name: str,
    counts: tuple[int, int],
    num_rows: int,
    in_turns: Speed | None,
    usd_per_hour: float | None,
    blessed: bool,
    seed: int,
) -> VariantResult:
    """Without remarks. `counts` are rows gained and lost against the base."""
    taken, price = in_turns or _alone(report), usd_per_hour
    return VariantResult(
        name=name,
        format=servable.format,
        accuracy=report.accuracy,
        difference=paired.difference(*counts, num_rows, samples=BOOTSTRAP_SAMPLES, seed=seed),
        p_value=paired.mcnemar(*counts),
        p50_ms=taken.p50_ms,
        p99_ms=taken.p99_ms,
        large_p50_ms=taken.large_p50_ms,
        large_p99_ms=taken.large_p99_ms,
        texts_per_s=taken.texts_per_s,
        size_bytes=servable.size_bytes,
        usd_per_million=None if price is None else price * 1e6 / taken.texts_per_s / 3600,
        blessed=blessed,
        on_front=False,
        remarks=(),
        in_turns=in_turns is not None,
    )


def _alone(report: EvalReport) -> Speed:
    """As evaluate saw it."""
    by_size = sorted(report.latency, key=lambda profile: profile.batch_size)
    small, large = by_size[0], by_size[-1]
    return Speed(
        p50_ms=small.p50_ms,
        p99_ms=small.p99_ms,
        large_p50_ms=large.p50_ms,
        large_p99_ms=large.p99_ms,
        texts_per_s=max(profile.texts_per_s for profile in report.latency),
    )
