"""Facts of a run -> one self-contained page: no network, whole without its script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import plots, report_load, report_warnings
from .report_calling import how_to_call
from .report_data import shares_in_words
from .report_text import (
    batch_of,
    headline,
    hits,
    input_verdict,
    kind,
    reasons,
    rollbacks,
    size,
    text,
    verdicts,
)

if TYPE_CHECKING:
    from ..components.contracts import EvalReport, ShardSet, TrainedModel
    from .report import RunFacts

_MANY_LABELS = 20  # above it, tables by label are folded and the confusion matrix is left out
_SHOWN_WHEN_MANY = 12
_SHOWN_PAIRS = 8
_LONGEST_TEXT = 600


def render(facts: RunFacts, document: Mapping[str, Any]) -> str:
    """The page; `document` is what `report.to_json` makes of the same facts.

    Everything goes through Jinja's escaping, but for the figures, which hold numbers only.
    """
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "input_verdict": input_verdict,
        "rollbacks": rollbacks,
        "sentence": lambda value: f"{value[:1].upper()}{value[1:]}.",
        "number": text,
        "percent": lambda value, digits=1: text(value, f".{digits}%"),
        "count": lambda value: text(value, ",.0f"),
        "bytes": size,
        "duration": duration,
        "words": _words,
        "shares": shares_in_words,
    }
    return environment.get_template("report.html.j2").render(
        d=document,
        title=headline(document),
        hits=hits(document["train"]),
        several=bool(document["failed_variants"])
        or (document["choice"] is not None and len(document["choice"]["variants"]) > 1),
        started=_moment(document["started"]),
        reasons=reasons(document),
        verdicts=list(verdicts(document)),
        warnings=report_warnings.lines(document),
        numbers=_numbers(document),
        figures=_figures(facts, document),
        labels=_folded(_label_rows(document["data"])),
        classes=_folded(_class_rows(document["evaluate"])),
        matrix=_matrix(document),
        confusions=_confusions(document),
        worst_slice=_worst_slice(document["evaluate"]),
        latency=_latency_rows(document["evaluate"]),
        load=report_load.rows(document["load"]),
        threads=report_load.thread_rows(document["load"]),
        longest_text=_LONGEST_TEXT,
        script=_script(),
        loading=how_to_call(facts.servable) if facts.servable else None,
        config=_yaml(document["config"], facts.config),
        made_up=_is_made_up(document["config"]),
    )


def _script() -> dict[str, Any]:
    """The one script, and its digest: the page tells the browser to run nothing else, so that no
    text that came from data ever runs."""
    from markupsafe import Markup

    text = Path(__file__).with_name("report_filter.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return {"text": Markup(text), "digest": f"sha256-{digest}"}


def _is_made_up(config: Mapping[str, Any]) -> bool:
    """Whether the data is the embedded sample, which no page may pass off as real."""
    source = config.get("preprocess", {}).get("source", {})
    return any(str(place).startswith("sample:") for place in source.values())


def duration(seconds: float | None) -> str:
    """Seconds for people: "0.4 s", "1 min 15 s", "2 h 5 min"."""
    if seconds is None or seconds < 59.95:
        return f"{text(seconds, '.1f')} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(whole / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def _moment(started: str) -> str:
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return started
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _words(value: Any) -> str:
    """A plain value of any shape in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_words(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_words(item) for item in value)
    return "—" if value is None else str(value)


def _numbers(document: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The numbers under the verdict: name, value, note. Fewer where less was made."""
    found = []
    quality, export, parity = document["evaluate"], document["export"], document["parity"]
    if quality:
        accuracy, reference = quality["accuracy"], quality["reference_accuracy"]
        interval = f"95% interval {text(accuracy['low'], '.1%')} to {text(accuracy['high'], '.1%')}"
        beside = f"linear {text(reference['linear'], '.1%')}"
        beside += f", majority {text(reference['majority'], '.1%')}"
        found.append(("Accuracy", text(accuracy["value"], ".1%"), f"{interval}; {beside}"))
        found += [
            (f"Latency, batch {row['batch']}", f"{text(row['p50'], '.3g')} ms",
             f"median; p99 {text(row['p99'], '.3g')} ms")
            for row in _latency_rows(quality)[:1]
        ]  # fmt: skip
    if export and parity:
        model = kind(export["format"])
        found.append((model, size(export["size_bytes"]), f"version {export['version']}"))
        note = f"largest difference of a probability; {parity['token_mismatches']:,} of "
        note += f"{parity['num_texts']:,} texts tokenized otherwise"
        found.append(("Parity", text(parity["max_abs_diff"], ".1e"), note))
    train, data = document["train"], document["data"]
    if train and not quality:
        note = f"after {train['best_step']:,} of {train['steps']:,} steps"
        found.append(("Best validation loss", text(train["best_val_loss"], ".4f"), note))
    if data and not quality:
        rows = sum(split["num_examples"] for split in data["splits"].values())
        found.append(("Rows", f"{rows:,}", f"{data['num_rejected']:,} set aside"))
        if data["labels"]:
            found.append(
                ("Labels", f"{len(data['labels']):,}", f"{data['vocabulary_size']:,} tokens")
            )
        else:
            found.append(("Vocabulary", f"{data['vocabulary_size']:,}", "tokens"))
    return found


def _figures(facts: RunFacts, document: Mapping[str, Any]) -> dict[str, Any]:
    """Every figure as safe markup; None where its numbers are missing."""
    from markupsafe import Markup

    drawn: dict[str, str | None] = dict.fromkeys(("lengths", "loss", "accuracy_curve"))
    drawn |= dict.fromkeys(("accuracy", "latency", "characters", "variants"))
    if facts.shards:
        drawn["lengths"] = _lengths(facts.shards)
        drawn["characters"] = _characters(document["data"]["statistics"])
    if facts.model:
        drawn["loss"] = _curve(facts.model, "loss")
        drawn["accuracy_curve"] = _curve(facts.model, "accuracy", shown=hits(document["train"]))
    if facts.evaluation:
        drawn["accuracy"] = _accuracy(facts.evaluation)
        samples = {p.batch_size: p.samples_ms for p in facts.evaluation.latency}
        drawn["latency"] = plots.latency(dict(sorted(samples.items())))
    if document["choice"]:
        several = document["choice"]["variants"], document["choice"]["chosen"]
        drawn |= {"variants": plots.variants(*several), "costs": plots.variant_costs(*several)}
    return {name: Markup(svg) if svg else None for name, svg in drawn.items()}


def _lengths(shards: ShardSet) -> str | None:
    train = shards.split("train")
    return plots.token_lengths(train.length_counts, train.num_truncated)


def _characters(found: Mapping[str, Any] | None) -> str | None:
    if found is None:
        return None
    return plots.text_lengths(
        {
            name: {int(edge): count for edge, count in split["character_counts"].items()}
            for name, split in found["splits"].items()
        }
    )


def _curve(model: TrainedModel, name: str, *, shown: str = "") -> str | None:
    history = model.history
    if not history:
        return None
    series = {
        "train": [getattr(epoch, name) for epoch in history],
        "validation": [getattr(epoch, f"val_{name}") for epoch in history],
    }
    best = [epoch.epoch for epoch in history if epoch.step == model.best_step]
    epochs = [epoch.epoch for epoch in history]
    return plots.curves(shown or name, epochs, series, best=best[0] if best else None)


def _accuracy(report: EvalReport) -> str | None:
    return plots.accuracy_scale(
        report.accuracy.value,
        report.accuracy.low,
        report.accuracy.high,
        {"linear model": report.linear_accuracy, "majority label": report.majority_accuracy},
    )


def _label_rows(data: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """A row a label, most frequent first: its count in each split, its share of the first."""
    if data is None:
        return []
    splits = list(data["splits"].values())
    rows = [
        {"label": label, "counts": [split["label_counts"][label] for split in splits]}
        for label in data["labels"]
    ]
    most = max((row["counts"][0] for row in rows), default=0)
    total = sum(row["counts"][0] for row in rows)
    if data.get("label_separator") is not None:  # a row may be in several of them
        total = splits[0]["num_examples"]
    for row in rows:
        row["bar"] = row["counts"][0] / most if most else 0
        row["share"] = row["counts"][0] / total if total else None
    return sorted(rows, key=lambda row: -row["counts"][0])


def _class_rows(quality: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Metrics by label, weakest first."""
    rows = quality["per_class"] if quality else []
    return sorted(rows, key=lambda row: -1 if row["f1"] is None else row["f1"])


def _folded(rows: Sequence[Any]) -> dict[str, Sequence[Any]]:
    """What is shown at once and what is behind a fold."""
    shown = len(rows) if len(rows) <= _MANY_LABELS else _SHOWN_WHEN_MANY
    return {"shown": rows[:shown], "hidden": rows[shown:]}


def _matrix(document: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Rows of the heat map. `depth` runs from 0 to 1: right answers by the share of their row,
    wrong ones by their share against the largest of all wrong shares."""
    quality = document["evaluate"]
    if quality is None or not 0 < len(quality["confusion_matrix"]) <= _MANY_LABELS:
        return None
    labels = [row["label"] for row in quality["per_class"]]
    shares = [[n / (sum(row) or 1) for n in row] for row in quality["confusion_matrix"]]
    wrong = [s for i, row in enumerate(shares) for j, s in enumerate(row) if i != j]
    worst = max(wrong, default=0) or 1
    rows = []
    for i, (label, counts) in enumerate(zip(labels, quality["confusion_matrix"], strict=True)):
        cells = []
        for j, count in enumerate(counts):
            depth = shares[i][j] if i == j else shares[i][j] / worst
            cells.append({"count": count, "right": i == j, "depth": round(depth, 3)})
        rows.append({"label": label, "cells": cells})
    return rows


def _confusions(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The most frequent wrong answers: true label, given label, how often."""
    quality = document["evaluate"]
    if quality is None:
        return []
    labels = [row["label"] for row in quality["per_class"]]
    pairs = [
        {"label": labels[i], "predicted": labels[j], "count": n, "share": n / sum(row)}
        for i, row in enumerate(quality["confusion_matrix"])
        for j, n in enumerate(row)
        if i != j and n
    ]
    pairs.sort(key=lambda pair: (-pair["count"], -pair["share"], pair["label"]))
    return pairs[:_SHOWN_PAIRS]


def _worst_slice(quality: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    slices = quality["slices"] if quality else []
    return min(slices, key=lambda part: part["accuracy"]["value"], default=None)


def _latency_rows(quality: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    profiles = quality["latency_ms"] if quality else {}
    rows = [{"batch": batch_of(name), **profile} for name, profile in profiles.items()]
    return sorted(rows, key=lambda row: row["batch"])


def _yaml(plain: Any, original: Mapping[str, Any]) -> str:
    """The config in its own order of sections; `plain` holds the same values as JSON types."""
    import yaml

    ordered = {key: plain[str(key)] for key in original}
    dumped: str = yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=96)
    return dumped
