"""A figure in the house style -> SVG that follows the page's colours. Importing it is light.

A figure is drawn in stand-in colours, then each is replaced by a CSS variable of the page, so one
drawing is legible on light and on dark paper. The same numbers always give the same bytes.
"""

from __future__ import annotations

import html
import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_WIDTH = 420  # points; on a phone it shrinks to about 340, where 12-point text is still readable
INK, MUTED, RULE, PAPER = "#010101", "#020202", "#030303", "#040404"
FIRST, SECOND, THIRD = "#050505", "#060606", "#070707"
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
    FIRST: "var(--first)",
    SECOND: "var(--second)",
    THIRD: "var(--third)",
}
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
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
    "text.color": INK,
    "xtick.color": RULE,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "xtick.labelcolor": MUTED,
    "ytick.color": RULE,
    "ytick.labelcolor": MUTED,
    "ytick.major.size": 0,
}


@contextmanager
def figure_and_axes(name: str, height: float) -> Iterator[tuple[Any, Any]]:
    """A figure and its axes in the house style; `name` salts the ids inside the SVG."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(_WIDTH / 72, height / 72), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        yield figure, axes


def svg(figure: Any, name: str, description: str) -> str:
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


def ticks_125(axes: Any, low: float, high: float) -> None:
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
