"""Numbers -> small SVG figures that follow the page's colours. Importing it is light.

A figure is drawn in stand-in colours, then each is replaced by a CSS variable of the page, so one
drawing is legible on light and on dark paper. The same numbers always give the same bytes.
"""

from __future__ import annotations

import html
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

_WIDTH = 420  # points; on a phone it shrinks to about 340, where 12-point text is still readable
_INK, _MUTED, _RULE, _PAPER = "#010101", "#020202", "#030303", "#040404"
_FIRST, _SECOND, _THIRD = "#050505", "#060606", "#070707"
_VARIABLES = {
    _INK: "var(--ink)",
    _MUTED: "var(--muted)",
    _RULE: "var(--rule)",
    _PAPER: "var(--paper)",
    _FIRST: "var(--first)",
    _SECOND: "var(--second)",
    _THIRD: "var(--third)",
}
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "figure.dpi": 72,
    "font.family": "DejaVu Sans",  # for measuring only: the page's own font is written
    "font.size": 12,
    "axes.labelsize": 12,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "path.simplify": False,
    "svg.fonttype": "none",
    "text.color": _INK,
    "xtick.color": _RULE,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "xtick.labelcolor": _MUTED,
    "ytick.color": _RULE,
    "ytick.labelcolor": _MUTED,
    "ytick.major.size": 0,
}


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
    with _figure("lengths", 230) as (figure, axes):
        _horizontal_grid(axes)
        axes.bar(starts, whole, width=width * 0.88, align="edge", color=_FIRST)
        axes.bar(starts[-1], cut, width * 0.88, whole[-1], align="edge", color=_SECOND)
        axes.axvline(longest + width, color=_SECOND, linewidth=1, linestyle=(0, (3, 2)))
        axes.set_xlim(0, longest + width * 1.5)
        axes.set_ylim(0, max(heights) * 1.16)
        share = num_truncated / sum(length_counts)
        note = f"limit {longest} tokens, {share:.1%} of rows cut"
        _note(axes, note, (longest + width, max(heights) * 1.16), side="left", color=_SECOND)
        axes.set_xlabel("tokens a row")
        axes.set_ylabel("rows")
        _thousands(axes.yaxis)
        return _svg(figure, "lengths", description)


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
    with _figure("characters", 230) as (figure, axes):
        _horizontal_grid(axes)
        colors = (_FIRST, _SECOND, _THIRD)
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
        return _svg(figure, "characters", description)


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
    with _figure(name, 230) as (figure, axes):
        _horizontal_grid(axes)
        marker = "o" if len(epochs) <= 12 else None
        styles: dict[str, Any] = {"marker": marker, "markersize": 4.5, "markeredgewidth": 0}
        for color, values in zip((_FIRST, _SECOND, _THIRD), lines.values(), strict=False):
            axes.plot(epochs, values, color=color, clip_on=False, **styles)
        span = max(epochs[-1] - epochs[0], 1)
        axes.set_xlim(epochs[0] - span * 0.04, epochs[-1] + span * 0.02)
        _pad(axes)
        _name_ends(axes, epochs[-1], ends)
        if best is not None:
            axes.axvline(best, color=_MUTED, linewidth=1, linestyle=(0, (3, 2)), zorder=0)
            side = "left" if best > epochs[0] + span / 2 else "right"
            place = (best, axes.get_ylim()[1])
            _note(axes, f"epoch {best} kept", place, side=side, color=_MUTED)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        return _svg(figure, name, description)


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
    with _figure("references", 58 + 34 * len(points)) as (figure, axes):
        axes.grid(axis="x", color=_RULE, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.axvspan(low * 100, high * 100, color=_FIRST, alpha=0.13, linewidth=0)
        axes.plot([low * 100, high * 100], [0, 0], color=_FIRST, linewidth=5, alpha=0.45)
        axes.plot(value * 100, 0, "o", color=_FIRST, markersize=9, clip_on=False)
        for place, number in enumerate(points):
            x = max(number * 100, start + 0.015 * (100 - start))
            marker = "o" if number * 100 >= start else "<"  # an arrow: further left than the scale
            side, shift = ("left", 9) if x < (start + 100) / 2 else ("right", -9)
            if place:
                axes.plot(x, place, marker, color=_MUTED, markersize=7, clip_on=False)
            else:
                x = high * 100 if side == "left" else low * 100
            axes.annotate(
                f"{number:.1%}", (x, place), (shift, 0), va="center", ha=side,
                textcoords="offset points", color=_INK, fontweight=None if place else "bold",
            )  # fmt: skip
        axes.set_yticks(range(len(points)), ["this model", *rows])
        axes.tick_params(axis="y", labelcolor=_INK, pad=7)
        axes.xaxis.get_major_locator().set_params(integer=True, nbins=6)
        axes.set_ylim(len(points) - 0.4, -0.6)
        axes.set_xlim(start, 100)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("accuracy, %")
        return _svg(figure, "references", description)


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
    with _figure("latency", 270) as (figure, axes):
        axes.grid(color=_RULE, linewidth=0.8)
        axes.set_axisbelow(True)
        colors = (_FIRST, _SECOND, _THIRD, _MUTED)
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
        _ticks_125(axes, min(v[0] for v in lines.values()), max(v[-1] for v in lines.values()))
        axes.set_ylim(0, 1.02)
        axes.set_yticks([0, 0.5, 0.9, 0.99], ["0", "p50", "p90", "p99"])
        axes.set_xlabel("ms a request, log scale")
        axes.set_ylabel("requests answered")
        return _svg(figure, "latency", description)


@contextmanager
def _figure(name: str, height: float) -> Iterator[tuple[Any, Any]]:
    """A figure and its axes in the house style; `name` salts the ids inside the SVG."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(_WIDTH / 72, height / 72), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        yield figure, axes


def _svg(figure: Any, name: str, description: str) -> str:
    """The bare `<svg>` element: ids made unique on a page, fonts and colours left to the page."""
    buffer = io.StringIO()
    empty = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=empty)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d\.\d{2})\d+", r"\1", tag[0]), text)
    for junk in ("metadata", "style"):
        text = re.sub(rf"<{junk}[ >].*?</{junk}>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]+"', text)
    assert box is not None
    opening = f'<svg class="plot" {box[0]} role="img" aria-label="{html.escape(description)}">'
    text = re.sub(r"<svg[^>]*>", lambda _: opening, text, count=1)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r"; font-family: [^;\"]+", "", text)
    text = text.replace("rotate(-0 ", "rotate(0 ")
    for color, variable in _VARIABLES.items():
        text = text.replace(color, variable)
    return re.sub(r"\s*\n\s*", "\n", text)


def _horizontal_grid(axes: Any) -> None:
    axes.grid(axis="y", color=_RULE, linewidth=0.8)
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
    colors = dict(zip(ends, (_FIRST, _SECOND, _THIRD), strict=False))
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
        bbox={"facecolor": _PAPER, "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip


def _steps(num_samples: int) -> list[float]:
    """Shares to draw: every sample when they are few, else enough for a smooth line."""
    count = min(num_samples, 160)
    return [step / count for step in range(count + 1)]


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed (nearest rank)."""
    rank = math.ceil(share * len(ordered) - 1e-9)
    return ordered[min(len(ordered) - 1, max(0, rank - 1))]


def _ticks_125(axes: Any, low: float, high: float) -> None:
    """Log ticks at 1, 2, 5, 10 …, the range widened to whole ticks."""
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    ladder = [float(f"{m}e{e}") for e in range(first, last + 1) for m in (1, 2, 5)]
    start = max((t for t in ladder if t <= low), default=ladder[0])
    stop = min((t for t in ladder if t >= high), default=ladder[-1])
    stop = stop if stop > start else start * 2
    ticks = [t for t in ladder if start <= t <= stop]
    axes.set_xlim(start, stop)
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()


def _decades(axes: Any, low: float, high: float) -> None:
    """Log ticks at the powers of ten inside the range."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [10**power for power in powers]
    axes.set_xlim(low, max(high, low * 2))
    axes.set_xticks(
        [t for t in ticks if low <= t <= high], [f"{t:,}" for t in ticks if low <= t <= high]
    )
    axes.minorticks_off()
