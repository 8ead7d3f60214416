"""Texts from anywhere -> Statistics, with the tokenizer of a ShardSet: what `compare` needs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ... import tokenizers
from ...contracts import ShardSet
from ...label_sets import multi_hot, names_of
from .builder import StatisticsBuilder, sample_shares
from .sums import Statistics, summarised
from .terms import token_table
from .text_rows import TextRow, row_key

_BATCH_ROWS = 256
_WHOLE = 1 << 20  # tokens: a language model's documents are counted whole


class Profiler:
    """Makes statistics that compare with those of `shards`: same tokenizer, same cutting."""

    def __init__(self, shards: ShardSet) -> None:
        self._shards = shards
        self._path = Path(shards.uri) / shards.vocabulary_file
        self.vocabulary: Sequence[str] = tokenizers.tokens(shards.tokenizer, self._path)

    @cached_property
    def _tokenizer(self) -> Any:
        """Made when it is needed: stored statistics compare without it, and without TensorFlow."""
        shards = self._shards
        whole = shards.task == "language_model"
        return tokenizers.load(
            shards.tokenizer,
            self._path,
            lowercase=shards.lowercase,
            sequence_length=_WHOLE if whole else shards.sequence_length,
            has_text_pair=shards.has_text_pair,
        )

    def profile(self, rows: Sequence[TextRow]) -> tuple[Statistics, tuple[str, ...]]:
        """Statistics of rows, texts without content left out, and the label names by id."""
        names = tuple(sorted({name for row in rows for name in self._names(row)}))
        ids = {name: i for i, name in enumerate(names)}
        builder = StatisticsBuilder(
            token_table(self.vocabulary),
            num_labels=len(names),
            sequence_length=self._shards.sequence_length,
            shares=sample_shares(len(rows)),
        )
        for start in range(0, len(rows), _BATCH_ROWS):
            self._add(builder, rows[start : start + _BATCH_ROWS], ids)
        return summarised(builder.build(), self.vocabulary), names

    def _add(
        self, builder: StatisticsBuilder, rows: Sequence[TextRow], ids: dict[str, int]
    ) -> None:
        texts = self._clean([row.text for row in rows])
        pairs: list[str] | None = None
        if self._shards.has_text_pair:
            pairs = self._clean([row.text_pair or "" for row in rows])
        kept = [i for i, text in enumerate(texts) if text]
        if not kept:
            return
        texts = [texts[i] for i in kept]
        pairs = None if pairs is None else [pairs[i] for i in kept]
        rows = [rows[i] for i in kept]
        labels = [[ids[name] for name in self._names(row)] for row in rows if row.label is not None]
        tokens = self._tokenize(texts, pairs)
        builder.add(
            texts=texts,
            pairs=pairs,
            labels=multi_hot(labels, len(ids)).astype(int) if len(labels) == len(rows) else None,
            token_ids=tokens.token_ids.values.numpy(),
            row_lengths=tokens.token_ids.row_lengths().numpy(),
            truncated=tokens.truncated.numpy(),
            keys=[row_key(row, i) for i, row in enumerate(rows)],
        )

    def _names(self, row: TextRow) -> tuple[str, ...]:
        return () if row.label is None else names_of(row.label, self._shards.label_separator)

    def _clean(self, texts: list[str]) -> list[str]:
        import tensorflow as tf

        encoded = [text.encode("utf-8", "replace") for text in texts]
        return [text.decode() for text in self._tokenizer.clean(tf.constant(encoded)).numpy()]

    def _tokenize(self, texts: list[str], pairs: list[str] | None) -> Any:
        import tensorflow as tf

        both = (texts,) if pairs is None else (texts, pairs)
        return self._tokenizer.tokenize(*(tf.constant(column) for column in both))
