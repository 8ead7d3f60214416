"""What the rows of one split are like, as sums: parts add up to the whole in any order, exactly.

Nothing here holds a text. Terms are pairs of token ids until `summarised` names the telling ones,
and only those that several rows share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from .terms import LabelTerms, TermCounts, add_terms, telling_terms

CHARACTER_EDGES = (0, *sorted({round(2 ** (step / 2)) for step in range(41)}))
"""Bin `i` of `character_counts` holds rows of `CHARACTER_EDGES[i]` characters up to the next edge;
the last one, from about a million on, is open."""


def _no_counts() -> Any:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Statistics:
    """Counts over rows. Arrays are int64; an empty one counts nothing, whatever its length."""

    num_rows: int = 0
    num_truncated: int = 0  # rows of which tokens were cut off
    num_characters: int = 0  # of the cleaned texts, pairs included
    num_tokens: int = 0  # all of them
    num_unknown: int = 0  # tokens that stand for what the vocabulary lacks
    num_content_tokens: int = 0  # all but [CLS], [SEP] and their like; unknown ones included
    vocabulary_size: int = 0  # tokens that texts can have: special ones left out
    label_counts: Any = field(default_factory=_no_counts)  # by label id; unlabelled rows nowhere
    length_counts: Any = field(
        default_factory=_no_counts
    )  # [n] = rows of n tokens; the last: or more
    character_counts: Any = field(default_factory=_no_counts)  # by bin of CHARACTER_EDGES
    token_counts: Any = field(default_factory=_no_counts)  # by token id, special ones are 0
    scripts: Counter[str] = field(default_factory=Counter)  # letters by Unicode script
    languages: Counter[str] = field(default_factory=Counter)  # rows of a sample, by ISO 639-1 code
    terms: TermCounts = field(default_factory=TermCounts)  # of a sample; empty once summarised
    telling_terms: tuple[LabelTerms, ...] = ()  # empty until summarised

    @property
    def mean_length(self) -> float:
        """Tokens a row, special ones included; 0 of no rows."""
        return self.num_tokens / self.num_rows if self.num_rows else 0.0

    @property
    def truncated_share(self) -> float:
        """Of the rows."""
        return self.num_truncated / self.num_rows if self.num_rows else 0.0

    @property
    def unknown_rate(self) -> float:
        """Of the content tokens."""
        return self.num_unknown / self.num_content_tokens if self.num_content_tokens else 0.0

    @property
    def coverage(self) -> float:
        """Share of the vocabulary that occurs at least once."""
        used = int(np.count_nonzero(self.token_counts))
        return used / self.vocabulary_size if self.vocabulary_size else 0.0

    def length_quantile(self, share: float) -> int:
        """The least number of tokens that `share` of the rows do not exceed."""
        if not self.num_rows:
            return 0
        reached = np.cumsum(self.length_counts) >= share * self.num_rows - 1e-9
        return int(np.argmax(reached))


def add_statistics(parts: Iterable[Statistics]) -> Statistics:
    """The sum; of no part too, as Beam's combiners ask for. Telling terms do not add up: summarise
    the sum.
    """
    parts = list(parts)
    total: dict[str, Any] = {}
    for item in fields(Statistics):
        values = [getattr(part, item.name) for part in parts]
        if item.name == "terms":
            total[item.name] = add_terms(values)
        elif item.name == "vocabulary_size":
            total[item.name] = max(values, default=0)
        elif item.name in ("scripts", "languages"):
            total[item.name] = sum(values, Counter[str]())
        elif item.name.startswith("num_"):
            total[item.name] = sum(values)
        elif item.name.endswith("_counts"):
            total[item.name] = add_counts(values)
    return Statistics(**total)


def add_counts(arrays: Sequence[Any]) -> Any:
    """The sum of int64 arrays, a shorter one filled up with zeros."""
    total = np.zeros(max(map(len, arrays), default=0), np.int64)
    for array in arrays:
        total[: len(array)] += array
    return total


def summarised(statistics: Statistics, vocabulary: Sequence[str]) -> Statistics:
    """With telling terms in place of term counts: what is small and safe enough to be stored."""
    return replace(
        statistics,
        terms=TermCounts(),
        telling_terms=telling_terms(statistics.terms, vocabulary),
    )
