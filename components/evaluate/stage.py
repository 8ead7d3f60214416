"""ShardSet, References, Servable -> EvalReport: measures the exported SavedModel from raw strings.

Nothing but the SavedModel answers: what is measured here is what will be served.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from .. import texts
from ..contracts import (
    EvalReport,
    Incumbent,
    Interval,
    ReferenceAccuracy,
    References,
    Robustness,
    Servable,
    SeveralLabels,
    ShardSet,
    Slice,
)
from ..serving.found import digest
from ..stage import Context, Log
from . import incumbent, metrics, predict, slices
from .kept import KeptAnswers
from .latency import Latency
from .latency_process import ServingCosts, measure_in_child
from .quality import quality
from .shown import Gallery
from .slices import Slices

VERSION = 9
USES = frozenset({"seed", "machine"})
EACH_VARIANT = True

PREDICT_BATCH_SIZE = 256
"""Rows a call; no result depends on it."""

PREDICTIONS_FILE = "predictions.npz"

MAX_LATENCY_ROWS = 1024
"""Different rows that the latency requests cycle through."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is measured on the exported model."""

    split: Literal["test", "validation"] = "test"
    bootstrap_samples: int = 1000
    num_mistakes: int = 100  # most confident wrong answers that the report shows
    num_doubts: int = 50  # and least confident right ones
    robustness_rows: int = 500  # that are asked again with typos, in capitals, ...; 0: none are
    incumbent: str | None = None  # folder of the model that serves now, from data_dir on
    slices: Slices = field(default_factory=Slices)
    latency: Latency = field(default_factory=Latency)

    def __post_init__(self) -> None:
        least = {
            "bootstrap_samples": 100,
            "num_mistakes": 0,
            "num_doubts": 0,
            "robustness_rows": 0,
        }
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(
                    f"{name}: must be at least {low}; received {getattr(self, name)}; "
                    f"the default is {type(self).__dataclass_fields__[name].default}"
                )


@dataclass(frozen=True, kw_only=True)
class Inputs:
    shards: ShardSet
    references: References
    servable: Servable


Output = EvalReport


def check(config: Config, data_dir: Path | str) -> None:
    """`ValueError` when there is no incumbent where the config says."""
    if config.incumbent is not None:
        incumbent.located(config.incumbent, data_dir)


def identity(config: Config, data_dir: Path | str) -> object:
    """The config with the content of the incumbent in place of its path."""
    fields = asdict(config)
    if config.incumbent is not None:
        fields["incumbent"] = digest(incumbent.located(config.incumbent, data_dir).folder)
    return fields


def run(config: Config, inputs: Inputs, ctx: Context) -> EvalReport:
    """Latency is taken first: the less this process holds and does meanwhile, the better."""
    shards, servable = inputs.shards, inputs.servable
    _check_fit(shards, servable, config)
    judged = digest(predict.served_dir(servable))
    costs = _measure_costs(config, inputs, ctx)
    answer = predict.load(servable)
    predictions = _predict(answer, config, inputs, ctx)
    robustness = _robustness(answer, config, inputs, ctx)
    rival = _incumbent(predictions, config, inputs, ctx)
    parts = _slices(predictions, config, shards, ctx.log)
    references = inputs.references.of(config.split)
    found = quality(
        predictions, servable, references, samples=config.bootstrap_samples, seed=ctx.seed
    )
    _warn(found.several, found.accuracy, references, ctx.log)
    predictions.save(ctx.workdir / PREDICTIONS_FILE)
    return EvalReport(
        uri=str(ctx.workdir),
        predictions_file=PREDICTIONS_FILE,
        split=config.split,
        num_examples=len(predictions.labels_N),
        **vars(found),
        majority_accuracy=references.majority,
        linear_accuracy=references.linear,
        latency=costs.profiles,
        cold_start_s=costs.cold_start_s,
        peak_memory_bytes=costs.peak_memory_bytes,
        measured_on=costs.measured_on,
        mistakes=predictions.mistakes,
        doubts=predictions.doubts,
        slices=parts,
        robustness=robustness,
        incumbent=rival,
        model_digest=judged,
    )


def _slices(
    predictions: predict.Predictions, config: Config, shards: ShardSet, log: Log
) -> tuple[Slice, ...]:
    parts, num_small = slices.slices(
        metrics.right(predictions.labels_N, predictions.predicted_N),
        predictions.labels_N,
        predictions.lengths_N,
        shards.label_names,
        values=predictions.values,
        settings=config.slices,
    )
    if num_small:
        log.info(
            f"{num_small} parts of fewer than {config.slices.min_rows} rows are left out",
            num_small=num_small,
        )
    return parts


def _warn(
    several: SeveralLabels | None,
    accuracy: Interval,
    reference: ReferenceAccuracy,
    log: Log,
) -> None:
    """What a reader of the verdict must know whatever the gates are."""
    linear = reference.linear
    if several is not None:  # whole rows are seldom right: micro F1 says more
        accuracy, linear = several.micro_f1, several.linear_micro_f1
    if accuracy.high < linear:
        log.warning(
            f"the linear reference is better: {linear:.3f} against {accuracy.value:.3f} "
            f"(at most {accuracy.high:.3f}); it learnt from the same rows in seconds"
        )


def _check_fit(shards: ShardSet, servable: Servable, config: Config) -> None:
    """`ValueError` when the model cannot be judged on these shards."""
    predict.served_dir(servable)
    for name in ("label_names", "label_separator", "has_text_pair", "tokenizer_fingerprint"):
        asked, offered = getattr(shards, name), getattr(servable, name)
        if asked != offered:
            raise ValueError(
                f"servable.{name}: must be those of the shards, {asked}; received {offered}; "
                "export a model that was trained on these shards"
            )
    if unknown := [name for name in config.slices.columns if name not in shards.kept_columns]:
        raise ValueError(
            f"evaluate.slices.columns: must be among preprocess.source.keep_columns, "
            f"{list(shards.kept_columns)}; received {', '.join(unknown)}; keep them there, too"
        )
    split_name = config.split
    if not shards.split(split_name).num_examples:
        raise ValueError(
            f"evaluate.split: the split must have rows; received {split_name!r}, which has none; "
            "give it a source of its own, or raise preprocess.cut"
        )


def _measure_costs(config: Config, inputs: Inputs, ctx: Context) -> ServingCosts:
    rows = texts.sample_rows(inputs.shards, config.split, num_rows=MAX_LATENCY_ROWS, seed=ctx.seed)
    ctx.log.info("measuring latency in a fresh process", rows=len(rows))
    costs = measure_in_child(
        predict.served_dir(inputs.servable), rows, settings=config.latency, log=ctx.log
    )
    ctx.log.info(
        f"cold start {costs.cold_start_s:.2f} s after {costs.import_s:.1f} s of imports, "
        f"peak memory {costs.peak_memory_bytes / 1e6:.0f} MB",
        import_s=costs.import_s,
        cold_start_s=costs.cold_start_s,
        peak_memory_bytes=costs.peak_memory_bytes,
    )
    for profile in costs.profiles:
        if profile.num_warmed < config.latency.num_requests:
            ctx.log.warning(
                f"latency, batches of {profile.batch_size}: told of {profile.num_warmed} different "
                f"requests instead of {config.latency.num_requests}, as many as were warmed up in "
                "evaluate.latency.max_seconds"
            )
    return costs


def _robustness(
    answer: predict.Answer, config: Config, inputs: Inputs, ctx: Context
) -> tuple[Robustness, ...]:
    if not config.robustness_rows:
        return ()
    rows = texts.windows(inputs.shards, config.split, max_rows=config.robustness_rows)
    return predict.robustness(
        answer,
        texts.joined(rows),
        _gallery(config, inputs.shards),
        seed=ctx.seed,
        progress=lambda done, total: ctx.log.progress("robustness", done, total),
    )


def _incumbent(
    predictions: predict.Predictions, config: Config, inputs: Inputs, ctx: Context
) -> Incumbent | None:
    if config.incumbent is None:
        return None
    shards, total = inputs.shards, len(predictions.labels_N)
    found = incumbent.located(config.incumbent, ctx.data_dir)
    answered_N = incumbent.answers(
        found,
        shards,
        texts.windows(shards, config.split),
        num_examples=total,
        batch_size=PREDICT_BATCH_SIZE,
        progress=lambda completed: ctx.log.progress("incumbent", completed, total),
    )
    return incumbent.compared(
        answered_N,
        predictions,
        found=found,
        shards=shards,
        samples=config.bootstrap_samples,
        seed=ctx.seed,
        log=ctx.log,
    )


def _predict(
    answer: predict.Answer, config: Config, inputs: Inputs, ctx: Context
) -> predict.Predictions:
    total = inputs.shards.split(config.split).num_examples
    return predict.predict(
        answer,
        texts.windows(inputs.shards, config.split, kept=config.slices.columns),
        num_examples=total,
        guess_language=config.slices.language,
        batch_size=PREDICT_BATCH_SIZE,
        gallery=_gallery(config, inputs.shards),
        progress=lambda completed: ctx.log.progress("predict", completed, total),
        kept=KeptAnswers(ctx.unfinished, ctx.log),
    )


def _gallery(config: Config, shards: ShardSet) -> Gallery:
    return Gallery(
        num_mistakes=config.num_mistakes,
        num_doubts=config.num_doubts,
        label_names=shards.label_names,
        separator=shards.label_separator,
    )
