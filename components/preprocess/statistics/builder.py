"""Batches of tokenised rows -> Statistics. About 20 microseconds a row of 230 words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .scripts import ScriptCounter, languages
from .sums import CHARACTER_EDGES, Statistics
from .terms import TermCounts, TokenTable, add_terms, count_terms, row_terms

LANGUAGE_ROWS = 200  # about, of a split
TERM_ROWS = 4_000  # about, of a split
_COUNT_AT = 1 << 20  # terms that wait to be counted: sorting them all at once is cheaper


@dataclass(frozen=True, kw_only=True)
class SampleShares:
    """Which part of the rows the dear statistics are made of, 0 to 1."""

    languages: float
    terms: float


def sample_shares(num_rows: int) -> SampleShares:
    """For a split of about `num_rows`, known before its rows are: all workers must use the same."""
    num_rows = max(1, num_rows)
    return SampleShares(
        languages=min(1.0, LANGUAGE_ROWS / num_rows), terms=min(1.0, TERM_ROWS / num_rows)
    )


class StatisticsBuilder:
    """Adds up the statistics of rows of one split, in any order, batch after batch."""

    def __init__(
        self, table: TokenTable, *, num_labels: int, sequence_length: int, shares: SampleShares
    ) -> None:
        self._table, self._shares = table, shares
        self._num_rows = self._num_truncated = self._num_tokens = self._num_characters = 0
        self._labels = np.zeros(num_labels, np.int64)
        self._lengths = np.zeros(sequence_length + 1, np.int64)
        self._characters = np.zeros(len(CHARACTER_EDGES), np.int64)
        self._tokens = np.zeros(len(table.kinds), np.int64)
        self._scripts = ScriptCounter()
        self._languages: Counter[str] = Counter()
        self._terms = TermCounts()
        self._waiting: list[tuple[Any, Any]] = []  # label and key of terms, still to be counted
        self._num_waiting = 0

    def add(
        self,
        *,
        texts: Sequence[str],
        pairs: Sequence[str] | None,
        labels: Any | None,
        token_ids: Any,
        row_lengths: Any,
        truncated: Any,
        keys: Sequence[bytes],
    ) -> None:
        """One batch: cleaned texts, label ids int `(B,)`, or `(B, C)` of 1 and 0 where a row has
        several (None: unlabelled), token ids int32 `(N,)` row after row, row lengths int64 `(B,)`
        (longer than the sequence length only as documents of a language model), truncated bool
        `(B,)`, content keys of 16 bytes.
        """
        self._num_rows += len(texts)
        self._num_truncated += int(np.count_nonzero(truncated))
        self._num_tokens += len(token_ids)
        lengths = np.minimum(row_lengths, len(self._lengths) - 1)
        self._lengths += np.bincount(lengths, minlength=len(self._lengths))
        self._tokens += np.bincount(token_ids, minlength=len(self._tokens))
        self._add_characters(texts, pairs)
        drawn = _drawn(keys)
        for i in np.flatnonzero(drawn < self._shares.languages).tolist():
            text = texts[i] if pairs is None else f"{texts[i]} {pairs[i]}"
            self._languages += languages([text])
        if labels is not None:
            labels = np.asarray(labels)
            counts = np.bincount(labels, minlength=0) if labels.ndim == 1 else labels.sum(axis=0)
            self._labels[: len(counts)] += counts
            self._add_terms(labels, token_ids, row_lengths, drawn < self._shares.terms)

    def build(self) -> Statistics:
        """The statistics of all that was added."""
        self._count_terms()
        special = self._table.special
        content = np.where(special, 0, self._tokens)
        num_unknown = int(self._tokens[self._table.unknown].sum())
        return Statistics(
            num_rows=self._num_rows,
            num_truncated=self._num_truncated,
            num_characters=self._num_characters,
            num_tokens=self._num_tokens,
            num_unknown=num_unknown,
            num_content_tokens=int(content.sum()) + num_unknown,
            vocabulary_size=int(np.count_nonzero(~special)),
            label_counts=self._labels.copy(),
            length_counts=self._lengths.copy(),
            character_counts=self._characters.copy(),
            token_counts=content,
            scripts=self._scripts.counts(),
            languages=Counter(self._languages),
            terms=self._terms,
        )

    def _add_characters(self, texts: Sequence[str], pairs: Sequence[str] | None) -> None:
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        self._scripts.add(texts)
        if pairs is not None:
            lengths = lengths + np.fromiter(map(len, pairs), np.int64, len(pairs))
            self._scripts.add(pairs)
        self._num_characters += int(lengths.sum())
        bins = np.searchsorted(CHARACTER_EDGES, lengths, side="right") - 1
        self._characters += np.bincount(bins, minlength=len(self._characters))

    def _add_terms(self, labels: Any, token_ids: Any, row_lengths: Any, chosen: Any) -> None:
        if not chosen.any():
            return
        token_ids = token_ids[np.repeat(chosen, row_lengths)]
        rows, keys = row_terms(self._table, token_ids, row_lengths[chosen])
        of_rows = labels[chosen][rows]
        if of_rows.ndim == 2:  # a term counts for each label of its row
            places, of_rows = np.nonzero(of_rows)
            keys = keys[places]
        self._waiting.append((of_rows, keys))
        self._num_waiting += len(keys)
        if self._num_waiting >= _COUNT_AT:
            self._count_terms()

    def _count_terms(self) -> None:
        if self._waiting:
            labels, keys = map(np.concatenate, zip(*self._waiting, strict=True))
            self._terms = add_terms([self._terms, count_terms(labels, keys)])
            self._waiting, self._num_waiting = [], 0


def _drawn(keys: Sequence[bytes]) -> Any:
    """A number in [0, 1) for each row, by its content. The last bytes of a key: the first ones say
    which shard a row is in."""
    words = np.frombuffer(b"".join(keys), ">u8").reshape(len(keys), 2)[:, 1]
    return words.astype(np.float64) / 2.0**64
