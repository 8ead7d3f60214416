"""Words and pairs of words that tell labels apart, counted as token ids. Pure.

A term is a word of one or two tokens, or two such words of one token each side by side; it is
counted once a row. Counting ids rather than strings takes no loop over tokens and 16 bytes a term.
The ranking is the log-odds ratio with an informative Dirichlet prior of Monroe, Colaresi and Quinn
2008, "Fightin' Words", Political Analysis 16(4), equations 15, 16, 20 and 22; the prior is the
count of a term in all labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

TERM_TOKENS = 256  # of a row: what comes later in a long text is not looked at
SHOWN_TERMS = 10  # a label
SHOWN_LABELS = 100  # those with most terms
MIN_ROWS = 5  # rarer terms are noise, and may be somebody's name
MIN_SCORE = 2.6  # standard deviations: one in two hundred by chance

_ID_BITS = 21  # ids below 2**20, and one value for "no second token"
_PAIR_BITS = 2 * _ID_BITS
_PAIR = 1 << _PAIR_BITS
_BREAK, _BEGINS, _CONTINUES = 0, 1, 2
_SPECIAL = frozenset(
    {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<pad>", "<unk>", "<s>", "</s>", "<mask>"}
    | {"<bos>", "<eos>", "<|pad|>", "<|endoftext|>", "<|begin_of_text|>", "<|end_of_text|>"}
)
_UNUSED = "[unused"  # what BERT's vocabularies keep free
_UNKNOWN = frozenset(("[UNK]", "<unk>"))


@dataclass(frozen=True, kw_only=True)
class Term:
    """One term of a label, and in how many of the rows it stood."""

    term: str
    rows: int  # of this label
    other_rows: int  # of all other labels
    score: float  # standard deviations of the log-odds above zero


@dataclass(frozen=True, kw_only=True)
class LabelTerms:
    """What tells the label apart, strongest first."""

    label: int
    terms: tuple[Term, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class TermCounts:
    """Rows by label and term: sorted keys, label and two token ids in one integer each."""

    keys: Any = field(default_factory=lambda: np.zeros(0, np.int64))  # int64 (N,)
    counts: Any = field(default_factory=lambda: np.zeros(0, np.int64))  # int64 (N,)


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenTable:
    """What each token id is, told by its text: make it once for a vocabulary."""

    kinds: Any  # int8 (V,): breaks off a word, begins one, continues one
    special: Any  # bool (V,)
    unknown: Any  # bool (V,)


def token_table(vocabulary: Sequence[str]) -> TokenTable:
    """Of WordPiece (`##ing`), SentencePiece (`▁the`), byte-level BPE (`Ġthe`) or plain words."""
    special = np.array(
        [token in _SPECIAL or token.startswith(_UNUSED) for token in vocabulary], bool
    )
    marker = _marker(vocabulary)
    kinds = np.zeros(len(vocabulary), np.int8)
    for i, token in enumerate(vocabulary):
        if not special[i] and any(map(str.isalnum, token)):
            marked = bool(marker) and token.startswith(marker)
            inside = marked if marker == "##" else bool(marker) and not marked
            kinds[i] = _CONTINUES if inside else _BEGINS
    unknown = np.array([token in _UNKNOWN for token in vocabulary], bool)
    return TokenTable(kinds=kinds, special=special, unknown=unknown)


def row_terms(table: TokenTable, token_ids: Any, row_lengths: Any) -> tuple[Any, Any]:
    """The terms of rows, each once a row: row numbers and keys without label, `(N,)` each."""
    ids, rows = _heads(token_ids, row_lengths)
    if not len(ids):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    kinds = table.kinds[ids]
    next_kinds = np.append(np.where(rows[1:] == rows[:-1], kinds[1:], _BREAK), _BREAK)
    ends = (kinds != _BREAK) & (next_kinds != _CONTINUES)
    begins = kinds == _BEGINS
    single = begins & ends
    double = begins & (next_kinds != _BREAK) & np.append(ends[1:], False)
    heads = (rows << _PAIR_BITS) + (ids << _ID_BITS)
    first = np.flatnonzero(double)
    found = np.concatenate([heads[single], heads[first] + ids[first + 1] + 1])
    if not len(found):  # nothing but special, unknown and other tokens that are no words
        return found, found
    found.sort()  # and then what differs from the one before: np.unique takes four times as long
    found = found[np.append(True, found[1:] != found[:-1])]
    return found >> _PAIR_BITS, found & _PAIR - 1


def count_terms(labels: Any, keys: Any) -> TermCounts:
    """Counts of `keys` by the label id of each, `(N,)` both."""
    found, counts = np.unique(labels.astype(np.int64) * _PAIR + keys, return_counts=True)
    return TermCounts(keys=found, counts=counts.astype(np.int64))


def add_terms(parts: Iterable[TermCounts]) -> TermCounts:
    """The sum, of none too."""
    parts = [part for part in parts if len(part.keys)]
    if len(parts) < 2:
        return parts[0] if parts else TermCounts()
    keys = np.concatenate([part.keys for part in parts])
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    counts = np.concatenate([part.counts for part in parts])[order]
    return TermCounts(keys=keys[first], counts=np.add.reduceat(counts, first))


def telling_terms(counts: TermCounts, vocabulary: Sequence[str]) -> tuple[LabelTerms, ...]:
    """Of each label, by id; none where there are not two labels to tell apart."""
    labels, pairs = counts.keys // _PAIR, counts.keys % _PAIR
    present, sizes = np.unique(labels, return_counts=True)
    if len(present) < 2:
        return ()
    shown = sorted(present[np.argsort(-sizes, kind="stable")][:SHOWN_LABELS].tolist())
    terms, place = np.unique(pairs, return_inverse=True)
    totals = np.bincount(place, weights=counts.counts, minlength=len(terms))
    found = []
    for label in shown:
        own = labels == label
        here, all_rows = counts.counts[own].astype(float), totals[place[own]]
        scores = _log_odds(here, all_rows, here.sum(), totals.sum())
        scores[here < MIN_ROWS] = 0
        best = np.lexsort((pairs[own], -scores))[:SHOWN_TERMS]
        best = best[scores[best] >= MIN_SCORE]
        columns = (pairs[own][best], here[best], all_rows[best] - here[best], scores[best])
        rows = zip(*(column.tolist() for column in columns), strict=True)
        found.append(LabelTerms(label=label, terms=_terms(rows, vocabulary)))
    return tuple(found)


def _terms(
    rows: Iterable[tuple[int, float, float, float]], vocabulary: Sequence[str]
) -> tuple[Term, ...]:
    marker = _marker(vocabulary)
    return tuple(
        Term(
            term=_spell(pair, vocabulary, marker),
            rows=int(here),
            other_rows=int(others),
            score=round(score, 2),
        )
        for pair, here, others, score in rows
    )


def _log_odds(here: Any, all_rows: Any, num_here: float, num_all: float) -> Any:
    """z-scores of terms: `here` times in a label of `num_here`, `all_rows` times in all labels."""
    there, num_there = all_rows - here, num_all - num_here
    ours, theirs = here + all_rows, there + all_rows  # the prior is added: `all_rows` once more
    odds = np.log(ours / (num_here + num_all - ours)) - np.log(
        theirs / (num_there + num_all - theirs)
    )
    return odds / np.sqrt(1 / ours + 1 / theirs)


def _heads(token_ids: Any, row_lengths: Any) -> tuple[Any, Any]:
    """The first `TERM_TOKENS` of each row: their ids, and the row of each, int64."""
    starts = np.cumsum(row_lengths) - row_lengths
    kept = np.minimum(row_lengths, TERM_TOKENS).astype(np.int64)
    rows = np.repeat(np.arange(len(kept), dtype=np.int64), kept)
    shift = starts - (np.cumsum(kept) - kept)
    return token_ids[np.arange(len(rows)) + shift[rows]].astype(np.int64), rows


def _marker(vocabulary: Sequence[str]) -> str:
    """What tokens inside a word, or in front of one, begin with; "" where each is a word."""
    for marker in ("##", "▁", "Ġ"):
        if any(token.startswith(marker) and len(token) > len(marker) for token in vocabulary):
            return marker
    return ""


def _spell(pair: int, vocabulary: Sequence[str], marker: str) -> str:
    first, second = vocabulary[pair >> _ID_BITS], pair % (1 << _ID_BITS)
    if not second:
        return first.removeprefix(marker) if marker != "##" else first
    other = vocabulary[second - 1]
    if marker == "##":
        return first + other[2:] if other.startswith("##") else f"{first} {other}"
    joined = other.startswith(marker) or not marker
    gap = " " if joined else ""
    return first.removeprefix(marker) + gap + other.removeprefix(marker)
