"""How far apart two sets of rows are, statistic by statistic. Pure.

The measure is the Jensen-Shannon distance, base 2, from 0 (alike) to 1 (nothing in common): the
root of the divergence of Lin 1991, "Divergence measures based on the Shannon entropy". Two small
samples of the same rows are apart, too, so each distance stands beside the one that chance alone
seldom exceeds, and only what is above both that and its bound counts as a shift.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .sums import Statistics, add_counts

Verdict = Literal["ok", "shifted", "not comparable"]

SHOWN_TOKENS = 10
CHANCE_TIMES = 10.0  # a token by itself: three standard deviations
TOKENS_A_DRAW = 1.5  # a word comes again in its text: samples of IMDB reviews differ as if of fewer
LENGTH_BINS = 32


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Where a shift begins. Distances are Jensen-Shannon, 0 to 1."""

    labels: float = 0.1
    lengths: float = 0.1
    tokens: float = 0.1  # the test split of IMDB against its train split: 0.05
    scripts: float = 0.1
    languages: float = 0.2  # guessed from a sample: short texts are guessed wrong now and then
    unknown_growth: float = 2.0  # times the rate of A, and at least `unknown_step` above it
    unknown_step: float = 0.01


@dataclass(frozen=True, kw_only=True)
class Line:
    """One comparison. What is not comparable has neither distance nor numbers."""

    what: str
    verdict: Verdict
    distance: float | None = None
    chance: float | None = None  # distance that two samples of the same rows seldom exceed
    bound: float | None = None  # of `distance`; of `b` where there is no distance
    a: float | None = None
    b: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class TokenChange:
    """A token whose share of all content tokens changed."""

    token: str
    share_a: float
    share_b: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All lines of two sets of rows."""

    rows_a: int
    rows_b: int
    lines: tuple[Line, ...]
    tokens: tuple[TokenChange, ...]  # most changed first
    new_labels: tuple[str, ...]  # in B only
    missing_labels: tuple[str, ...]  # in A only

    @property
    def shifted(self) -> bool:
        """Whether anything is above its bound."""
        return any(line.verdict == "shifted" for line in self.lines)


def compare(
    a: Statistics,
    b: Statistics,
    *,
    vocabulary: Sequence[str],
    labels_a: Sequence[str],
    labels_b: Sequence[str],
    bounds: Bounds | None = None,
) -> Comparison:
    """Of two sets tokenised with the same `vocabulary`; `labels_*` are names by label id."""
    bounds = bounds or Bounds()
    counts_a, counts_b = _by_name(a, labels_a), _by_name(b, labels_b)
    new = tuple(sorted(set(counts_b) - set(counts_a))) if counts_a and counts_b else ()
    missing = tuple(sorted(set(counts_a) - set(counts_b))) if counts_a and counts_b else ()
    lines = (
        _labels_line(counts_a, counts_b, new, bounds.labels),
        _distance_line("token lengths", *_binned(a, b), bound=bounds.lengths),
        _distance_line(
            "tokens",
            a.token_counts,
            b.token_counts,
            bound=bounds.tokens,
            sizes=(a.num_content_tokens / TOKENS_A_DRAW, b.num_content_tokens / TOKENS_A_DRAW),
        ),
        _unknown_line(a, b, bounds),
        _names_line("scripts", a.scripts, b.scripts, bounds.scripts, (a.num_rows, b.num_rows)),
        _names_line("languages", a.languages, b.languages, bounds.languages),
    )
    return Comparison(
        rows_a=a.num_rows,
        rows_b=b.num_rows,
        lines=lines,
        tokens=_changed_tokens(a.token_counts, b.token_counts, vocabulary),
        new_labels=new,
        missing_labels=missing,
    )


def distance(p: Any, q: Any) -> float:
    """Jensen-Shannon distance, base 2, of two arrays of counts or shares; both must hold some."""
    p, q = np.asarray(p, float) / np.sum(p), np.asarray(q, float) / np.sum(q)
    middle = (p + q) / 2
    divergence = sum(
        float(np.sum(x[x > 0] * np.log2(x[x > 0] / middle[x > 0]))) / 2 for x in (p, q)
    )
    return min(1.0, max(0.0, divergence)) ** 0.5


def chance_limit(p: Any, q: Any, sizes: tuple[float, float] | None = None) -> float:
    """The distance that two samples of one distribution with these counts seldom exceed.

    On average the divergence is that of its second-order expansion, sum (p - q)^2 / (8 m ln 2):
    of each category (1 - m) (1 / a + 1 / b) / (8 ln 2), and never more than its share m. Around
    this it is spread like a chi-squared variable; the limit lies four standard deviations above.
    `sizes` are the numbers of independent draws where these are fewer than the counts, as letters
    of a text.
    """
    p, q = np.asarray(p, float), np.asarray(q, float)
    drawn = (p.sum(), q.sum()) if sizes is None else sizes
    shares = (p / p.sum() + q / q.sum()) / 2
    each = (1 / drawn[0] + 1 / drawn[1]) / (8 * np.log(2))
    mean = np.minimum(each * (1 - shares), shares).sum()
    freedom = max(1, int(np.count_nonzero(shares)) - 1)
    spread = max(0.5, 4 * (2 / freedom) ** 0.5)
    return float(min(1.0, mean * (1 + spread)) ** 0.5)


def _distance_line(
    what: str,
    p: Any,
    q: Any,
    *,
    bound: float,
    sizes: tuple[float, float] | None = None,
    note: str = "",
) -> Line:
    if not np.sum(p) or not np.sum(q):
        return Line(what=what, verdict="not comparable", note="nothing was counted on one side")
    size = max(len(p), len(q))
    p, q = (np.pad(np.asarray(x), (0, size - len(x))) for x in (p, q))
    found, chance = distance(p, q), chance_limit(p, q, sizes)
    verdict: Verdict = "shifted" if found > max(bound, chance) else "ok"
    return Line(what=what, verdict=verdict, distance=found, chance=chance, bound=bound, note=note)


def _names_line(
    what: str,
    a: Counter[str],
    b: Counter[str],
    bound: float,
    sizes: tuple[int, int] | None = None,
) -> Line:
    names: list[str] = sorted(a.keys() | b.keys())
    note = ""
    if a and b:
        growth = {name: b[name] * a.total() - a[name] * b.total() for name in names}
        grown = max(names, key=growth.__getitem__)
        share_a, share_b = a[grown] / a.total(), b[grown] / b.total()
        note = f"{grown} {share_a:.1%} -> {share_b:.1%}" if share_b - share_a > 0.005 else ""
    p, q = ([counts[name] for name in names] for counts in (a, b))
    return _distance_line(what, p, q, bound=bound, sizes=sizes, note=note)


def _labels_line(a: Counter[str], b: Counter[str], new: tuple[str, ...], bound: float) -> Line:
    line = _names_line("labels", a, b, bound)
    if not new:
        return line
    return Line(**{**vars(line), "verdict": "shifted", "note": f"new: {', '.join(new[:5])}"})


def _unknown_line(a: Statistics, b: Statistics, bounds: Bounds) -> Line:
    what = "unknown tokens"
    if not a.num_content_tokens or not b.num_content_tokens:
        return Line(what=what, verdict="not comparable", note="no tokens on one side")
    bound = max(a.unknown_rate * bounds.unknown_growth, a.unknown_rate + bounds.unknown_step)
    verdict: Verdict = "shifted" if b.unknown_rate > bound else "ok"
    return Line(what=what, verdict=verdict, a=a.unknown_rate, b=b.unknown_rate, bound=bound)


def _by_name(statistics: Statistics, names: Sequence[str]) -> Counter[str]:
    counts = zip(names, statistics.label_counts.tolist(), strict=False)
    return Counter({name: count for name, count in counts if count})


def length_bins(counts: Any, num_bins: int) -> list[int]:
    """The least length of each of at most `num_bins` bins that hold about as many rows each."""
    shares = np.cumsum(counts) / max(1, np.sum(counts))
    edges = np.searchsorted(shares, np.arange(1, num_bins) / num_bins) + 1
    return sorted({0, *np.minimum(edges, max(0, len(counts) - 1)).tolist()})


def _binned(a: Statistics, b: Statistics) -> tuple[Any, Any]:
    """Both length histograms in the bins of A."""
    if not a.num_rows or not b.num_rows:
        return a.length_counts, b.length_counts
    size = max(len(a.length_counts), len(b.length_counts))
    counts = [add_counts([s.length_counts, np.zeros(size, np.int64)]) for s in (a, b)]
    bins = length_bins(counts[0], LENGTH_BINS)
    return np.add.reduceat(counts[0], bins), np.add.reduceat(counts[1], bins)


def _changed_tokens(a: Any, b: Any, vocabulary: Sequence[str]) -> tuple[TokenChange, ...]:
    """By what each adds to the divergence, and only what adds more than chance does."""
    if not np.sum(a) or not np.sum(b):
        return ()
    chance = CHANCE_TIMES * (1 / np.sum(a) + 1 / np.sum(b)) / (8 * np.log(2))
    counts = [add_counts([x, np.zeros(len(vocabulary), np.int64)]) + 0.5 for x in (a, b)]
    p, q = (x / x.sum() for x in counts)
    middle = (p + q) / 2
    added = (p * np.log2(p / middle) + q * np.log2(q / middle)) / 2
    order = np.argsort(-added, kind="stable")[:SHOWN_TOKENS]
    return tuple(
        TokenChange(token=vocabulary[i], share_a=float(p[i]), share_b=float(q[i]))
        for i in order[added[order] > chance].tolist()
    )
