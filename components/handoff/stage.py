"""Choice, Judgement, EvalReport, Servable -> Handoff: the bundle, if the model is blessed.

The answers that go along are those of the very files that do.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import texts
from ..contracts import (
    Choice,
    EvalReport,
    Handoff,
    Judgement,
    LoadReport,
    Servable,
    ShardSet,
    TrainedModel,
)
from ..load_records import WireCheck
from ..messy import MESSY_TEXTS
from ..serving import answering
from ..serving.bundle import WARMUP_FILE
from ..serving.samples import Samples
from ..serving.shapes import shapes
from ..serving.targets import parse
from ..stage import Context, Log
from .batching import Batching, BatchTime, batching
from .config import Config
from .promises import Warmed, broken_promises

if TYPE_CHECKING:
    from .assembly import Facts

__all__ = ["VERSION", "Config", "Inputs", "Output", "run"]

VERSION = 7
USES = frozenset({"machine"})
OF_MEASUREMENTS = True

BUNDLE_DIR = "bundle"

MIN_ROWS = 64

CALLS, WARM_UP_CALLS = 9, 2
"""Of each batch size, of which the median counts; and before that."""

MAX_BATCH_S = 2.0
"""Larger batches are not tried once a call takes as long."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """By the names of the variants where there are several."""

    choice: Choice
    load: LoadReport
    shards: ShardSet
    models: Mapping[str, TrainedModel]
    servables: Mapping[str, Servable]
    reports: Mapping[str, EvalReport]
    judgements: Mapping[str, Judgement]


Output = Handoff


def run(config: Config, inputs: Inputs, ctx: Context) -> Handoff:
    """Only what was chosen, and only what is blessed, is handed over."""
    chosen = inputs.choice.chosen
    refusal = _refusal(inputs)
    if chosen is None or refusal:
        ctx.log.info(f"no bundle: {refusal}")
        return _nothing(inputs, refusal, ctx)
    from . import assembly

    servable, report, shards = inputs.servables[chosen], inputs.reports[chosen], inputs.shards
    folder = ctx.workdir / BUNDLE_DIR
    places = [ctx.everywhere(one.uri) for one in (servable, report)]
    model_dir = assembly.copy_model(servable, report, folder, places=places)
    model = answering.load(model_dir)
    rows = _rows(config, shards, report.split)
    num_columns = 2 if servable.has_text_pair else 1
    facts = assembly.Facts(
        config=config,
        variant=chosen,
        shards=shards,
        model=inputs.models[chosen],
        servable=servable,
        report=report,
        judgement=inputs.judgements[chosen],
        load=inputs.load,
        samples=_samples(model, rows[: config.samples], num_columns=num_columns),
        batching=_batching(config, model, rows),
    )
    rows = rows if config.samples else _made_up(num_columns)
    warmed = _warm_up(facts, model_dir, rows, ctx.log)
    facts = replace(facts, warmed=warmed)
    fingerprint = assembly.finish(facts, folder)
    for broken in broken_promises(config.slo, report, warmed):
        ctx.log.warning(f"handoff.slo: {broken}; `tpuline accept` will say so, too")
    took = "" if warmed.seconds is None else f" ({warmed.seconds:.1f} s)"
    ctx.log.info(
        f"bundle of {chosen}: fingerprint {fingerprint}, batches up to "
        f"{facts.batching.max_batch_size}, {warmed.num_requests} warm-up requests{took}"
    )
    return Handoff(
        uri=str(ctx.workdir),
        bundle_dir=BUNDLE_DIR,
        reason=inputs.choice.reason,
        variant=chosen,
        name=facts.name,
        version=servable.version,
        fingerprint=fingerprint,
        size_bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        max_batch_size=facts.batching.max_batch_size,
        num_warmup_requests=warmed.num_requests,
    )


def _refusal(inputs: Inputs) -> str:
    """Why nothing is handed over; empty where something is."""
    chosen = inputs.choice.chosen
    if chosen is None or not inputs.judgements[chosen].verdict.blessed:
        return inputs.choice.reason
    servable = inputs.servables[chosen]
    differing = [one for one in inputs.load.wire if one.decides and one.first_difference]
    return "; ".join(
        f"{one.target} answers otherwise than in process" + _next_step(one, servable)
        for one in differing
    )


def _next_step(check: WireCheck, servable: Servable) -> str:
    """A server that was running before may have another model under the same number."""
    if not parse(check.target).address:
        return ""
    return f"; if another model is version {servable.version} there, raise export.version"


def _nothing(inputs: Inputs, reason: str, ctx: Context) -> Handoff:
    base = next(iter(inputs.servables.values()))
    return Handoff(
        uri=str(ctx.workdir),
        bundle_dir=None,
        reason=reason,
        variant=None,
        name=Path(base.saved_model_dir).parts[0],
        version=base.version,
        fingerprint="",
        size_bytes=0,
        max_batch_size=0,
        num_warmup_requests=0,
    )


def _rows(config: Config, shards: ShardSet, split: str) -> list[tuple[str, ...]]:
    """(text, label), or (text, text pair, label); at least some: a server is tuned with them."""
    window = texts.joined(texts.windows(shards, split, max_rows=max(config.samples, MIN_ROWS)))
    pairs = () if window.text_pairs is None else (window.text_pairs,)
    labels = [shards.answer(label) for label in window.labels]
    return list(zip(window.texts, *pairs, labels, strict=True))


def _made_up(num_columns: int) -> list[tuple[str, ...]]:
    """Words for warm-up requests where no text of the data may leave."""
    text = " ".join(text.decode(errors="ignore") for text in MESSY_TEXTS)
    return [(*(text,) * num_columns, "")]


def _samples(
    model: answering.Answering, rows: Sequence[tuple[str, ...]], *, num_columns: int
) -> Samples:
    """The rows and the fixed messy texts, each asked alone: who else is in a batch is no matter."""
    asked = [tuple(text.encode(errors="surrogatepass") for text in row[:-1]) for row in rows]
    asked += [(text,) * num_columns for text in MESSY_TEXTS]
    answers = [model.texts([[text] for text in row]) for row in asked]
    return Samples(
        columns=tuple(zip(*asked, strict=True)),
        labels=(*(row[-1] for row in rows), *[None] * len(MESSY_TEXTS)),
        expected_labels=tuple(one[answering.LABEL][0].decode() for one in answers),
        expected_scores=tuple(float(one[answering.SCORE][0]) for one in answers),
        expected_probabilities=tuple(
            tuple(one[answering.PROBABILITIES][0].tolist()) for one in answers
        ),
    )


def _batching(
    config: Config, model: answering.Answering, rows: Sequence[tuple[str, ...]]
) -> Batching:
    times: list[BatchTime] = []
    size = 1
    while size <= config.max_batch_size:
        times.append(BatchTime(batch_size=size, ms=_median_ms(model, rows, size)))
        if times[-1].ms > MAX_BATCH_S * 1000:
            break
        size *= 2
    return batching(times, num_threads=answering.num_threads(), max_wait_ms=config.max_wait_ms)


def _median_ms(
    model: answering.Answering, rows: Sequence[tuple[str, ...]], batch_size: int
) -> float:
    """Each call takes the next rows: that is what lengths a server sees."""
    times = []
    for call in range(WARM_UP_CALLS + CALLS):
        start = call * batch_size
        batch = [rows[(start + i) % len(rows)][:-1] for i in range(batch_size)]
        started = time.perf_counter()
        model.texts(list(zip(*batch, strict=True)))
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times[WARM_UP_CALLS:])


def _warm_up(facts: Facts, model_dir: Path, rows: Sequence[tuple[str, ...]], log: Log) -> Warmed:
    """Written, and asked as a server would: what fails here would keep it from being ready."""
    if not facts.servable.is_saved_model:
        return Warmed()
    from ..serving import warmup

    model = answering.SavedModel(model_dir)
    file = model_dir / WARMUP_FILE
    written = warmup.write(
        file,
        model,
        [row[:-1] for row in rows],
        name=facts.name,
        batch_sizes=facts.batching.batch_sizes,
        widths=shapes(facts.servable.sequence_length).widths,
    )
    for warning in written.warnings():
        log.warning(f"handoff: {warning}")
    model.texts([[column] for column in rows[0][:-1]])  # that is part of the cold start
    number, started = written.num_requests, time.perf_counter()
    warmup.replay(file, model, tell=lambda done: log.progress("warm-up requests", done, number))
    return Warmed(num_requests=number, seconds=time.perf_counter() - started)
