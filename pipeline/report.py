"""Facts of a run -> report.json and report.html beside it. Light to import."""

from __future__ import annotations

import json
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, Literal

from ..components.contracts import (
    Choice,
    EvalReport,
    Handoff,
    Judgement,
    LoadReport,
    Servable,
    ShardSet,
    Split,
    TrainedModel,
)
from . import report_data
from .hardware.utilisation import Utilisation
from .report_text import summary_lines
from .store import write_text

__all__ = [
    "FORMAT",
    "FailedVariant",
    "RunFacts",
    "StageFacts",
    "dumps",
    "remove",
    "summary_lines",
    "to_json",
    "write",
]

FORMAT = 2
"""Layout of report.json; raised when a key changes its meaning."""

_NUMBERS_ON_LINES = re.compile(r"\[\n\s+([^\[\]{}\"]*?)\n\s+\]")


@dataclass(frozen=True, kw_only=True)
class StageFacts:
    """How one stage went."""

    name: str
    key: str
    reused: bool
    seconds: float  # what making it took, also where it was made by an earlier run
    status: str  # "done", "reused" or "failed"


@dataclass(frozen=True, kw_only=True)
class FailedVariant:
    """A variant that the run went on without."""

    name: str
    stage: str | None  # None: what it is made of failed
    reason: str


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Everything that the report of a run tells. An artifact that was not made is None."""

    name: str
    status: Literal["blessed", "refused", "failed", "partial"]
    started: str  # ISO 8601, UTC
    config: Mapping[str, Any]  # the resolved config as plain values
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    stages: tuple[StageFacts, ...]
    warnings: tuple[str, ...] = ()
    error: str | None = None
    failed_variants: tuple[FailedVariant, ...] = ()
    shards: ShardSet | None = None
    model: TrainedModel | None = None
    servable: Servable | None = None  # of the chosen variant; of the base where none is
    evaluation: EvalReport | None = None  # of the same
    judgement: Judgement | None = None  # of the same
    judgements: Mapping[str, Judgement] = field(default_factory=dict)  # by variant
    choice: Choice | None = None
    handoff: Handoff | None = None
    load: LoadReport | None = None
    utilisation: Utilisation | None = None  # of the chips by the training; needs a preflight


def to_json(facts: RunFacts) -> dict[str, Any]:
    """The facts as plain JSON values; the section of a missing artifact is None, as is any NaN."""
    shards, model, servable = facts.shards, facts.model, facts.servable
    report = facts.evaluation
    document = {
        "format": FORMAT,
        "name": facts.name,
        "status": facts.status,
        "started": facts.started,
        "error": facts.error,
        "warnings": facts.warnings,
        "failed_variants": facts.failed_variants,
        "verdict": _verdict(facts.judgement) if facts.judgement else None,
        "verdicts": {name: _verdict(one) for name, one in facts.judgements.items()},
        "stages": facts.stages,
        "data": _data(shards) if shards else None,
        "train": _train(model, facts.utilisation) if model else None,
        "export": _export(servable) if servable else None,
        "parity": servable.parity if servable else None,
        "evaluate": _evaluate(report) if report else None,
        "choice": _choice(facts.choice) if facts.choice else None,
        "handoff": _handoff(facts.handoff) if facts.handoff else None,
        "load": _load(facts.load) if facts.load else None,
        "artifacts": {
            "shards": shards.uri if shards else None,
            "model": model.uri if model else None,
            "servable": servable.uri if servable else None,
            "evaluation": report.uri if report else None,
        },
        "config": facts.config,
        "versions": facts.versions,
        "machine": facts.machine,
    }
    plain: dict[str, Any] = _plain(document)
    return plain


def write(facts: RunFacts, folder: str | Path) -> Path:
    """Writes report.json and report.html into `folder`, each all or nothing; returns the page."""
    from .report_html import render

    folder = Path(folder)
    document = to_json(facts)
    page = folder / "report.html"
    html = render(facts, document)  # before anything is replaced: it may fail
    write_text(folder / "report.json", dumps(document))
    write_text(page, html)
    return page


def remove(folder: str | Path) -> None:
    """Takes the report of an earlier run away."""
    for name in ("report.json", "report.html"):
        (Path(folder) / name).unlink(missing_ok=True)


def dumps(document: Mapping[str, Any]) -> str:
    """Sorted and indented JSON, a list of numbers kept on one line."""
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return _NUMBERS_ON_LINES.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def _verdict(judgement: Judgement) -> dict[str, Any]:
    verdict = judgement.verdict
    return {"blessed": verdict.blessed, "reasons": verdict.reasons, "gates": judgement.gates}


def _data(shards: ShardSet) -> dict[str, Any]:
    return {
        "labels": shards.label_names,
        "label_separator": shards.label_separator,
        "has_text_pair": shards.has_text_pair,
        "sequence_length": shards.sequence_length,
        "vocabulary_size": shards.vocabulary_size,
        "lowercase": shards.lowercase,
        "tokenizer": shards.tokenizer,
        "redacted": {count.reason: count.count for count in shards.redacted},
        "tokenizer_fingerprint": shards.tokenizer_fingerprint,
        "num_rejected": shards.num_rejected,
        "rejected_by_reason": {r.reason: r.count for r in shards.rejected_by_reason},
        "rejects_file": shards.rejects_file,
        "splits": {split.name: _split(split, shards.label_names) for split in shards.splits},
        "statistics": report_data.to_json(shards),
    }


def _split(split: Split, labels: Sequence[str]) -> dict[str, Any]:
    return {
        "num_examples": split.num_examples,
        "num_shards": len(split.shards),
        "num_tokens": split.num_tokens,
        "num_truncated": split.num_truncated,
        "size_bytes": sum(shard.size_bytes for shard in split.shards),
        "mean_length": split.num_tokens / split.num_examples if split.num_examples else None,
        "length_counts": split.length_counts,
        "label_counts": dict(zip(labels, split.label_counts, strict=True)),
    }


def _train(model: TrainedModel, utilisation: Utilisation | None) -> dict[str, Any]:
    return {
        "model": model.model,
        "strategy": model.strategy,
        "num_replicas": model.num_replicas,
        "precision": model.precision,
        "global_batch_size": model.global_batch_size,
        "examples_per_s": model.examples_per_s,
        "tokens_per_s": model.tokens_per_s,
        "steps": model.num_steps,
        "best_step": model.best_step,
        "best_val_loss": model.best_val_loss,
        "num_parameters": model.num_parameters,
        "padding_share": model.padding_share,
        "padding_share_of_one_width": model.padding_share_of_one_width,
        "batch_shapes": [
            list(shape) for shape in zip(model.batch_rows, model.batch_widths, strict=True)
        ],
        "num_resumed": model.num_resumed,
        "rollbacks": model.rollbacks,
        "input": model.input,
        "utilisation": utilisation,
        "history": model.history,
    }


def _export(servable: Servable) -> dict[str, Any]:
    return {
        "format": servable.format,
        "saved_model_dir": servable.saved_model_dir,
        "saved_model_path": str(Path(servable.uri) / servable.saved_model_dir),
        "version": servable.version,
        "size_bytes": servable.size_bytes,
        "temperature": servable.temperature,
        "threshold": servable.threshold,
        "thresholds": dict(zip(servable.label_names, servable.thresholds, strict=False)),
    }


def _evaluate(report: EvalReport) -> dict[str, Any]:
    return {
        "split": report.split,
        "num_examples": report.num_examples,
        "accuracy": report.accuracy,
        "macro_f1": report.macro_f1.value,
        "macro_f1_interval": report.macro_f1,
        "several": report.several,
        "expected_calibration_error": report.expected_calibration_error,
        "uncalibrated_error": report.uncalibrated_error,
        "reference_accuracy": {
            "majority": report.majority_accuracy,
            "linear": report.linear_accuracy,
        },
        "latency_ms": {
            f"batch_{profile.batch_size}": {
                "p50": profile.p50_ms,
                "p90": profile.p90_ms,
                "p99": profile.p99_ms,
                "num_requests": profile.num_requests,
                "texts_per_s": profile.texts_per_s,
                "tokenizer_p50": profile.tokenizer_p50_ms,
            }
            for profile in report.latency
        },
        "measured_on": report.measured_on,
        "cold_start_s": report.cold_start_s,
        "peak_memory_bytes": report.peak_memory_bytes,
        "per_class": report.per_class,
        "confusion_matrix": report.confusion_matrix,
        "mistakes": report.mistakes,
        "doubts": report.doubts,
        "slices": report.slices,
        "robustness": report.robustness,
        "incumbent": report.incumbent,
    }


def _handoff(handoff: Handoff) -> dict[str, Any]:
    return {
        "handed_over": handoff.bundle_dir is not None,
        "variant": handoff.variant,
        "reason": handoff.reason,
        "name": handoff.name,
        "version": handoff.version,
        "fingerprint": handoff.fingerprint,
        "size_bytes": handoff.size_bytes,
        "max_batch_size": handoff.max_batch_size,
        "num_warmup_requests": handoff.num_warmup_requests,
    }


def _choice(choice: Choice) -> dict[str, Any]:
    return {
        "chosen": choice.chosen,
        "reason": choice.reason,
        "batch_size": choice.batch_size,
        "large_batch_size": choice.large_batch_size,
        "variants": choice.variants,
    }


def _load(load: LoadReport) -> dict[str, Any] | None:
    if not load.results and not load.threads and not load.wire:
        return None
    return {
        "split": load.split,
        "num_rows": load.num_rows,
        "p99_bound_ms": load.p99_bound_ms,
        "measured_on": load.measured_on,
        "loadgen_version": load.loadgen_version,
        "wire": load.wire,
        "by_scenario": [{**_plain(one), "spread": one.spread} for one in load.by_scenario()],
        "results": load.results,
        "threads": load.threads,
        "advised_threads": load.advised_threads(),
    }


def _plain(value: Any) -> Any:
    """Records to dicts, tuples to lists, numbers that JSON has no word for to None."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, numbers.Integral):  # a NumPy integer
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    return str(value)
