"""Numbers -> small SVG figures, as `drawing` makes them. Importing it is light."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .drawing import FIRST, INK, MUTED, PAPER, RULE, SECOND, THIRD, figure_and_axes, svg, ticks_125


def token_lengths(length_counts: Sequence[int], num_truncated: int) -> str | None:
    """Rows by number of tokens; `length_counts[n]` rows have n. The cut rows stand out."""
    if not sum(length_counts[1:]):
        return None
    longest = len(length_counts) - 1
    width = max(1, math.ceil(longest / 64))
    starts = list(range(1, longest + 1, width))
    heights = [sum(length_counts[start : start + width]) for start in starts]
    cut = min(num_truncated, heights[-1])
    whole = [*heights[:-1], heights[-1] - cut]
    description = f"Histogram of tokens a row, up to {longest}; {num_truncated} rows were cut"
    with figure_and_axes("lengths", 230) as (figure, axes):
        _horizontal_grid(axes)
        axes.bar(starts, whole, width=width * 0.88, align="edge", color=FIRST)
        axes.bar(starts[-1], cut, width * 0.88, whole[-1], align="edge", color=SECOND)
        axes.axvline(longest + width, color=SECOND, linewidth=1, linestyle=(0, (3, 2)))
        axes.set_xlim(0, longest + width * 1.5)
        axes.set_ylim(0, max(heights) * 1.16)
        share = num_truncated / sum(length_counts)
        note = f"limit {longest} tokens, {share:.1%} of rows cut"
        _note(axes, note, (longest + width, max(heights) * 1.16), side="left", color=SECOND)
        axes.set_xlabel("tokens a row")
        axes.set_ylabel("rows")
        _thousands(axes.yaxis)
        return svg(figure, "lengths", description)


def text_lengths(counts: Mapping[str, Mapping[int, int]]) -> str | None:
    """Share of the rows of each split by characters, log scale. `counts` are rows by the least
    length of their bin, bins being equal on that scale."""
    splits = {name: rows for name, rows in counts.items() if sum(rows.values())}
    edges = sorted({max(1, edge) for rows in splits.values() for edge in rows})
    if not edges:
        return None
    description = "Share of rows by characters: " + ", ".join(
        f"{name} most often from {max(rows, key=lambda edge: (rows[edge], edge))}"
        for name, rows in splits.items()
    )
    with figure_and_axes("characters", 230) as (figure, axes):
        _horizontal_grid(axes)
        colors = (FIRST, SECOND, THIRD)
        widths = (1.8, 1.5, 1.5)
        for (name, rows), color, width in zip(splits.items(), colors, widths, strict=False):
            shares = [100 * rows.get(edge, 0) / sum(rows.values()) for edge in edges]
            axes.plot(edges, shares, color=color, linewidth=width, label=name)
        axes.set_xscale("log")
        _decades(axes, edges[0], edges[-1])
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, labelcolor="linecolor", handlelength=0, handletextpad=0)
        axes.set_xlabel("characters a row, log scale")
        axes.set_ylabel("rows, %")
        return svg(figure, "characters", description)


def curves(
    name: str, epochs: Sequence[int], series: Mapping[str, Sequence[float]], *, best: int | None
) -> str | None:
    """Lines over epochs, each named at its right end; `best` is the epoch that was kept.

    Values that are not finite leave gaps; without any finite one there is no figure.
    """
    lines = {
        label: [v if math.isfinite(v) else math.nan for v in values]
        for label, values in series.items()
        if any(math.isfinite(v) for v in values)
    }
    if not lines:
        return None
    ends = {k: [v for v in values if math.isfinite(v)][-1] for k, values in lines.items()}
    description = f"{name} by epoch: " + ", ".join(
        f"{label} ends at {value:.3g}" for label, value in ends.items()
    )
    with figure_and_axes(name, 230) as (figure, axes):
        _horizontal_grid(axes)
        marker = "o" if len(epochs) <= 12 else None
        styles: dict[str, Any] = {"marker": marker, "markersize": 4.5, "markeredgewidth": 0}
        for color, values in zip((FIRST, SECOND, THIRD), lines.values(), strict=False):
            axes.plot(epochs, values, color=color, clip_on=False, **styles)
        span = max(epochs[-1] - epochs[0], 1)
        axes.set_xlim(epochs[0] - span * 0.04, epochs[-1] + span * 0.02)
        _pad(axes)
        _name_ends(axes, epochs[-1], ends)
        if best is not None:
            axes.axvline(best, color=MUTED, linewidth=1, linestyle=(0, (3, 2)), zorder=0)
            side = "left" if best > epochs[0] + span / 2 else "right"
            place = (best, axes.get_ylim()[1])
            _note(axes, f"epoch {best} kept", place, side=side, color=MUTED)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        return svg(figure, name, description)


def accuracy_scale(
    value: float, low: float, high: float, references: Mapping[str, float]
) -> str | None:
    """The model with its interval on one scale with the references.

    The scale starts below the better reference; one further left is an arrow with its number.
    """
    if not all(math.isfinite(number) for number in (value, low, high)):
        return None
    rows = {name: number for name, number in references.items() if math.isfinite(number)}
    description = f"Accuracy: model {value:.1%}, interval {low:.1%} to {high:.1%}; " + ", ".join(
        f"{name} {number:.1%}" for name, number in rows.items()
    )
    points = [value, *rows.values()]
    start = max(0, 5 * math.floor(20 * min(low, max(rows.values(), default=low)) - 1.2))
    with figure_and_axes("references", 58 + 34 * len(points)) as (figure, axes):
        axes.grid(axis="x", color=RULE, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.axvspan(low * 100, high * 100, color=FIRST, alpha=0.13, linewidth=0)
        axes.plot([low * 100, high * 100], [0, 0], color=FIRST, linewidth=5, alpha=0.45)
        axes.plot(value * 100, 0, "o", color=FIRST, markersize=9, clip_on=False)
        for place, number in enumerate(points):
            x = max(number * 100, start + 0.015 * (100 - start))
            marker = "o" if number * 100 >= start else "<"  # an arrow: further left than the scale
            side, shift = ("left", 9) if x < (start + 100) / 2 else ("right", -9)
            if place:
                axes.plot(x, place, marker, color=MUTED, markersize=7, clip_on=False)
            else:
                x = high * 100 if side == "left" else low * 100
            axes.annotate(
                f"{number:.1%}", (x, place), (shift, 0), va="center", ha=side,
                textcoords="offset points", color=INK, fontweight=None if place else "bold",
            )  # fmt: skip
        axes.set_yticks(range(len(points)), ["this model", *rows])
        axes.tick_params(axis="y", labelcolor=INK, pad=7)
        axes.xaxis.get_major_locator().set_params(integer=True, nbins=6)
        axes.set_ylim(len(points) - 0.4, -0.6)
        axes.set_xlim(start, 100)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("accuracy, %")
        return svg(figure, "references", description)


def latency(samples_ms: Mapping[int, Sequence[float]]) -> str | None:
    """Share of requests answered within a time, one line a batch size, log scale."""
    finite = {b: sorted(v for v in ms if 0 < v < math.inf) for b, ms in samples_ms.items()}
    lines = {batch: values for batch, values in finite.items() if values}
    if not lines:
        return None
    description = "Share of requests answered within a time: " + "; ".join(
        f"batch {batch}, half within {_quantile(values, 0.5):.3g} ms"
        for batch, values in lines.items()
    )
    with figure_and_axes("latency", 270) as (figure, axes):
        axes.grid(color=RULE, linewidth=0.8)
        axes.set_axisbelow(True)
        colors = (FIRST, SECOND, THIRD, MUTED)
        for (batch, values), color in zip(lines.items(), colors, strict=False):
            shares = _steps(len(values))
            axes.plot([_quantile(values, s) for s in shares], shares, color=color)
            marks = (0.5, 0.9, 0.99)
            axes.plot([_quantile(values, s) for s in marks], marks, "o", color=color, markersize=5)
            place = (_quantile(values, 0.25), 0.25)
            axes.annotate(
                f"batch {batch}", place, (7, -2), textcoords="offset points", color=color,
                va="top",
            )  # fmt: skip
        axes.set_xscale("log")
        ticks_125(axes, min(v[0] for v in lines.values()), max(v[-1] for v in lines.values()))
        axes.set_ylim(0, 1.02)
        axes.set_yticks([0, 0.5, 0.9, 0.99], ["0", "p50", "p90", "p99"])
        axes.set_xlabel("ms a request, log scale")
        axes.set_ylabel("requests answered")
        return svg(figure, "latency", description)


def variants(results: Sequence[Mapping[str, Any]], chosen: str | None) -> str | None:
    """Accuracy with its interval over p99, one mark a variant: `chosen` full, the front bold.
    Areas of marks are as the sizes of the variants.

    `results` are rows of `choice.variants` of report.json.
    """
    marks = [(row["p99_ms"], row) for row in results]
    return _accuracy_over(marks, chosen, "variants", "p99, ms a request", "p99 in ms")


def variant_costs(results: Sequence[Mapping[str, Any]], chosen: str | None) -> str | None:
    """As `variants`, over what a million texts cost; without a price, over what a text takes of a
    machine that is always busy."""
    if all(row["usd_per_million"] is not None for row in results):
        marks = [(row["usd_per_million"], row) for row in results]
        return _accuracy_over(marks, chosen, "costs", "USD a million texts", "cost in USD")
    marks = [(1000 / row["texts_per_s"], row) for row in results if row["texts_per_s"]]
    return _accuracy_over(marks, chosen, "costs", "ms a text in large batches", "ms a text")


def _accuracy_over(
    marks: Sequence[tuple[float, Mapping[str, Any]]],
    chosen: str | None,
    name: str,
    label: str,
    told: str,
) -> str | None:
    shown = [(x, row) for x, row in marks if math.isfinite(x) and x > 0]
    if len(shown) < 2:
        return None
    description = f"Accuracy and {told} of the variants: " + "; ".join(
        f"{row['name']} {row['accuracy']['value']:.1%}, {x:.3g}, {row['size_bytes'] / 1e6:.3g} MB"
        for x, row in shown
    )
    largest = max(row["size_bytes"] for _, row in shown)
    with figure_and_axes(name, 300) as (figure, axes):
        axes.grid(color=RULE, linewidth=0.8)
        axes.set_axisbelow(True)
        for x, row in shown:
            accuracy = row["accuracy"]
            color = FIRST if row["name"] == chosen else INK if row["blessed"] else SECOND
            axes.plot(
                [x, x], [100 * accuracy["low"], 100 * accuracy["high"]], color=color, alpha=0.4
            )
            face = color if row["name"] == chosen else "none"
            axes.plot(
                x, 100 * accuracy["value"], "o", color=color, markerfacecolor=face,
                markersize=14 * math.sqrt(row["size_bytes"] / largest),
                markeredgewidth=2.5 if row["on_front"] else 0.8,
            )  # fmt: skip
        axes.set_xscale("log")
        ticks_125(axes, min(x for x, _ in shown), max(x for x, _ in shown))
        _name_marks(axes, [(x, 100 * r["accuracy"]["value"], r["name"]) for x, r in shown])
        axes.set_xlabel(f"{label}, log scale")
        axes.set_ylabel("accuracy, %")
        return svg(figure, name, description)


def _name_marks(axes: Any, marks: Sequence[tuple[float, float, str]]) -> None:
    """Names each mark at its right, above or below it, where no other name stands."""
    points = 72 / axes.figure.dpi
    taken: list[tuple[float, float, float]] = []  # left, right, height of names
    for x, y, name in sorted(marks):
        left, height = (points * value for value in axes.transData.transform((x, y)))
        right = left + 16 + 6.5 * len(name)
        for away in (4, 17, -11, 30, -24, 43, -37, 56, -50):
            near = [t for t in taken if abs(height + away - t[2]) < 12]
            if not any(left < other_right and other < right for other, other_right, _ in near):
                break
        taken.append((left, right, height + away))
        axes.annotate(name, (x, y), (8, away), textcoords="offset points", color=INK)


def _horizontal_grid(axes: Any) -> None:
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)


def _thousands(axis: Any) -> None:
    axis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axis.get_major_locator().set_params(integer=True)


def _pad(axes: Any) -> None:
    """Room above the lines for the note on the epoch that was kept."""
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.14 * (top - bottom))


def _name_ends(axes: Any, x: float, ends: Mapping[str, float]) -> None:
    """Names each line at its right end, pushed apart where two lines end close together."""
    bottom, top = axes.get_ylim()
    gap = 0.085 * (top - bottom)
    colors = dict(zip(ends, (FIRST, SECOND, THIRD), strict=False))
    floor = -math.inf
    for value, label in sorted((value, label) for label, value in ends.items()):
        y = max(value, floor + gap)
        floor = y
        axes.annotate(
            f"{label} {value:.3f}", (x, y), (8, 0), textcoords="offset points", va="center",
            color=colors[label], annotation_clip=False,
        )  # fmt: skip


def _note(axes: Any, note: str, place: tuple[float, float], *, side: str, color: str) -> None:
    """Words below `place` on one side of it, over the grid lines rather than among them."""
    away, anchor = (-6, "right") if side == "left" else (6, "left")
    axes.annotate(
        note, place, (away, -2), textcoords="offset points", ha=anchor, va="top", color=color,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip


def _steps(num_samples: int) -> list[float]:
    """Shares to draw: every sample when they are few, else enough for a smooth line."""
    count = min(num_samples, 160)
    return [step / count for step in range(count + 1)]


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed (nearest rank)."""
    rank = math.ceil(share * len(ordered) - 1e-9)
    return ordered[min(len(ordered) - 1, max(0, rank - 1))]


def _decades(axes: Any, low: float, high: float) -> None:
    """Log ticks at the powers of ten inside the range."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [10**power for power in powers]
    axes.set_xlim(low, max(high, low * 2))
    axes.set_xticks(
        [t for t in ticks if low <= t <= high], [f"{t:,}" for t in ticks if low <= t <= high]
    )
    axes.minorticks_off()
