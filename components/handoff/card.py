"""What is known of a model -> MODEL_CARD.md. Pure.

The sections follow Mitchell et al., Model Cards for Model Reporting (2019).
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..contracts import EvalReport, Interval, LoadReport, Servable, ShardSet, TrainedModel
from .config import Card
from .promises import Warmed

_UNSAID = "Nobody wrote anything here: `handoff.card` of the config."


def model_card(
    *,
    name: str,
    variant: str,
    card: Card,
    shards: ShardSet,
    model: TrainedModel,
    servable: Servable,
    report: EvalReport,
    load: LoadReport,
    warmed: Warmed,
    provenance: Mapping[str, str],
) -> str:
    """Markdown."""
    sections = [
        (f"{name}, version {servable.version}", _summary(card, variant, model, servable)),
        ("What it is for", [card.intended_use or _UNSAID]),
        ("What it is not for", [card.limits or _UNSAID]),
        ("Data", _data(shards)),
        ("Training", _training(model)),
        ("How good it is", list(_quality(report))),
        ("Where it is worse", list(_weaknesses(report))),
        ("How it is served", [*_serving(servable, report, warmed), *_under_load(load)]),
        ("Licences and contact", _legal(card)),
        ("Where it comes from", _table(("what", "key"), provenance.items())),
    ]
    (title, summary), *rest = sections
    text = [f"# {title}", "", *summary, ""]
    for heading, lines in rest:
        text += [f"## {heading}", "", *lines, ""]
    return "\n".join(text)


def _summary(card: Card, variant: str, model: TrainedModel, servable: Servable) -> list[str]:
    labels = ", ".join(map(_cell, servable.label_names[:20])) + (
        ", ..." if servable.label_names[20:] else ""
    )
    pairs = "pairs of texts" if servable.has_text_pair else "texts"
    return [
        card.description or _UNSAID,
        "",
        f"A classifier of {pairs} with {len(servable.label_names)} labels ({labels}); "
        f"{model.num_parameters:,} parameters, at most {servable.sequence_length} tokens a text: "
        "what is longer is cut. "
        f"Served as {servable.format}, {servable.size_bytes / 1e6:.1f} MB; variant `{variant}`.",
    ]


def _data(shards: ShardSet) -> list[str]:
    rows = [
        (
            split.name,
            f"{split.num_examples:,}",
            f"{split.num_truncated:,}",
            ", ".join(
                f"{label} {count:,}"
                for label, count in zip(shards.label_names, split.label_counts, strict=True)
            ),
        )
        for split in shards.splits
    ]
    redacted = ", ".join(f"{one.reason} {one.count:,}" for one in shards.redacted)
    return [
        *_table(("split", "rows", "cut to length", "labels"), rows),
        "",
        f"Rows set aside: {shards.num_rejected:,}. Redacted: {redacted or 'nothing'}.",
    ]


def _training(model: TrainedModel) -> list[str]:
    return [
        f"{model.num_steps:,} steps of {model.global_batch_size} rows on {model.num_replicas} "
        f"replica(s) ({model.accelerator or model.strategy}), {model.precision}; best weights of "
        f"step {model.best_step:,}, weights stored as {model.quantization or model.dtype}."
    ]


def _quality(report: EvalReport) -> Iterator[str]:
    of_rows = "" if report.several is None else " (all labels of a row right)"
    yield f"On {report.num_examples:,} rows of the split `{report.split}`, with 95 % intervals."
    yield ""
    yield from _table(
        ("metric", "value"),
        [
            (f"accuracy{of_rows}", _interval(report.accuracy)),
            ("macro F1", _interval(report.macro_f1)),
            *_several(report),
            ("expected calibration error", f"{report.expected_calibration_error:.3f}"),
            (f"accuracy{of_rows} of the most frequent answer", f"{report.majority_accuracy:.3f}"),
            (f"accuracy{of_rows} of a linear model", f"{report.linear_accuracy:.3f}"),
        ],
    )
    yield ""
    yield from _table(
        ("label", "precision", "recall", "F1", "rows"),
        [
            (one.label, f"{one.precision:.3f}", f"{one.recall:.3f}", f"{one.f1:.3f}", one.support)
            for one in report.per_class
        ],
    )


def _several(report: EvalReport) -> Iterator[tuple[str, str]]:
    found = report.several
    if found is not None:
        yield "micro F1", _interval(found.micro_f1)
        yield "micro F1 of a linear model", f"{found.linear_micro_f1:.3f}"
        yield "average precision, mean over labels", f"{found.average_precision:.3f}"
        yield "labels rightly on or off", f"{found.label_accuracy:.3f}"


def _weaknesses(report: EvalReport) -> Iterator[str]:
    worst = sorted(report.slices, key=lambda one: one.accuracy.value)[:10]
    if worst:
        yield "The parts of the rows with the lowest accuracy:"
        yield ""
        yield from _table(
            ("part", "rows", "accuracy"),
            [(f"{s.column}: {s.value}", s.num_rows, _interval(s.accuracy)) for s in worst],
        )
        yield ""
    if report.robustness:
        first = report.robustness[0]
        yield (
            f"What a change that should not matter costs, of {first.num_rows} rows of which "
            f"{first.accuracy + first.drop:.3f} are right as they are:"
        )
        yield ""
        yield from _table(
            ("change", "rows", "accuracy", "lost"),
            [(r.kind, r.num_rows, f"{r.accuracy:.3f}", f"{r.drop:.3f}") for r in report.robustness],
        )
    if not worst and not report.robustness:
        yield "Nothing was measured."


def _serving(servable: Servable, report: EvalReport, warmed: Warmed) -> list[str]:
    parity = servable.parity
    return [
        *_table(
            ("texts a request", "p50 ms", "p90 ms", "p99 ms", "texts/s"),
            [
                (
                    p.batch_size,
                    *(f"{v:.2f}" for v in (p.p50_ms, p.p90_ms, p.p99_ms)),
                    f"{p.texts_per_s:.0f}",
                )
                for p in report.latency
            ],
        ),
        "",
        f"Cold start {report.cold_start_s:.2f} s{_until_ready(warmed)}, "
        f"{report.peak_memory_bytes / 1e6:.0f} MB of memory; in process, on "
        f"{_cell(report.measured_on) or 'a processor not recorded'}. The promises stand in "
        "slo.json.",
        "",
        f"Against the Keras model on {parity.num_texts} texts: {parity.token_mismatches} with "
        f"other tokens, probabilities at most {parity.max_abs_diff:.1e} apart "
        f"({parity.tolerance:.0e} allowed).",
        *_answering(servable),
    ]


def _until_ready(warmed: Warmed) -> str:
    if warmed.seconds is None:
        return ""
    return (
        f" and {warmed.seconds:.1f} s for the {warmed.num_requests} warm-up requests that a server "
        "replays before it is ready"
    )


def _answering(servable: Servable) -> Iterator[str]:
    """What stands between logits and answers, where anything does."""
    if servable.temperature != 1.0:
        yield ""
        yield f"Calibrated on validation: logits are divided by {servable.temperature:.3f}."
    if servable.threshold is not None:
        label, from_ = servable.threshold.label, servable.threshold.probability
        yield ""
        yield f"The answer is {_cell(label)} from a probability of {from_:.3f} on."
    if servable.thresholds:
        pairs = zip(servable.label_names, servable.thresholds, strict=True)
        told = ", ".join(f"{_cell(label)} {from_:.3f}" for label, from_ in list(pairs)[:20])
        yield ""
        yield f"A row may have several labels, each answered from its probability on: {told}"
        yield f"{', ...' if servable.label_names[20:] else '.'}"


def _under_load(load: LoadReport) -> list[str]:
    if not load.results:
        return []
    rows = [
        (
            one.middle.target,
            one.middle.scenario,
            one.num_runs,
            f"{one.middle.texts_per_s:.0f}",
            *(f"{ms:.2f}" for ms in (one.middle.p50_ms, one.middle.p90_ms, one.middle.p99_ms)),
            "" if one.spread is None else f"{one.spread:.0%}",
            one.num_failed,
            "yes" if one.valid else "no",
        )
        for one in load.by_scenario()
    ]
    head = (
        "target", "scenario", "runs", "texts/s", "p50 ms", "p90 ms", "p99 ms", "apart", "failed",
        "counts",
    )  # fmt: skip
    return [
        "",
        "Under load (MLPerf LoadGen); of several runs the middle one, and how far apart they are:",
        "",
        *_table(head, rows),
    ]


def _legal(card: Card) -> list[str]:
    return _table(
        ("what", "says"),
        [
            ("licence of the model", card.licence or _UNSAID),
            ("licence of the data", card.data_licence or _UNSAID),
            ("contact", card.contact or _UNSAID),
        ],
    )


def _interval(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Values are of the data, and may hold what Markdown takes for its own."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return lines + [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]


def _cell(value: object) -> str:
    text = " ".join(str(value).split())
    return html.escape(text, quote=False).replace("|", "\\|")
