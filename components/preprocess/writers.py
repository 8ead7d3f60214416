"""Shard tasks -> shards and their statistics: tokenizers are made once a worker."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from .. import tokenizers
from ..graph_tokenizer import TextTokenizer, WordpieceTokenizer
from .facts import ShardTask, Written
from .sharding.shards import ShardWork, Tokenize, Tokens, write_shard
from .sharding.spill import SpilledRow
from .statistics.builder import StatisticsBuilder, sample_shares
from .statistics.terms import token_table
from .work import Work

CHARACTERS_A_TOKEN = 8
"""More than tokens have on average in any language; rows that show otherwise are done again."""

_STRINGS = tf.TensorSpec([None], tf.string)


class Writers:
    """Writes shard after shard with the run's own vocabulary."""

    def __init__(self, work: Work) -> None:
        kind, path = work.vocabulary.type, work.vocabulary_file
        self._work = work
        self._tokenizer = tokenizers.load(
            kind,
            path,
            lowercase=work.vocabulary.lowercase,
            sequence_length=work.sequence_length,
            has_text_pair=work.has_text_pair,
        )
        self._table = token_table(tokenizers.tokens(kind, path))
        self._tokenize = tokenize_function(self._tokenizer)

    def write(self, task: ShardTask, work: ShardWork) -> Written:
        """One shard of labelled rows, or of a language model's windows."""
        builder = StatisticsBuilder(
            self._table,
            num_labels=work.num_labels,
            sequence_length=work.sequence_length,
            shares=sample_shares(task.split_rows),
        )
        if self._work.task == "language_model":
            from .sharding.windows import write_windows

            facts = write_windows(task, work, tokenizer=self._tokenizer, statistics=builder)
        else:
            facts = write_shard(task, work, tokenize=self._tokenize, statistics=builder)
        return Written(shards=(facts,), statistics={task.split: builder.build()})


def tokenize_function(tokenizer: TextTokenizer) -> Tokenize:
    """Cleaned rows -> `Tokens`, through the tokenizer's ops compiled once."""
    has_text_pair = tokenizer.has_text_pair

    def rows_of(*texts: tf.Tensor) -> tuple[tf.Tensor, ...]:
        rows = tokenizer.tokenize(*texts)
        segments = (rows.segment_ids.values,) if has_text_pair else ()
        return (rows.token_ids.values, rows.token_ids.row_lengths(), rows.truncated, *segments)

    flat = tf.function(rows_of, input_signature=[_STRINGS] * (1 + has_text_pair), autograph=False)

    def called(*texts: list[str]) -> Tokens:
        columns = [tf.constant(column, tf.string) for column in texts]
        token_ids, row_lengths, truncated, *segments = (part.numpy() for part in flat(*columns))
        return Tokens(token_ids, segments[0] if segments else None, row_lengths, truncated)

    def tokenize(rows: list[SpilledRow]) -> Tokens:
        texts = [row.cleaned for row in rows]
        if has_text_pair:
            return called(texts, [row.cleaned_pair or "" for row in rows])
        if not isinstance(tokenizer, WordpieceTokenizer):
            return called(texts)
        heads = [head_of(text, tokenizer.sequence_length) for text in texts]
        tokens = called(heads)
        cut = np.fromiter((head is not text for head, text in zip(heads, texts, strict=True)), bool)
        return called(texts) if (cut & ~tokens.truncated).any() else tokens

    return tokenize


def head_of(text: str, num_tokens: int) -> str:
    """As many whole words as are likely to hold more than `num_tokens`; the very text if shorter.

    WordPiece takes words one by one: what follows changes nothing before it.
    """
    end = text.find(" ", CHARACTERS_A_TOKEN * num_tokens)
    return text if end < 0 else text[:end]
