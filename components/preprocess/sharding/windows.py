"""Spilled rows of one range of keys -> shard of windows for a language model.

An example is a window: `token_ids`, `segment_ids` and `positions`, each of `sequence_length`
values; `packing` says what they hold. A document is the pieces of its text, all of them, then
[SEP] or what else ends a text in the vocabulary, and [CLS] before only where the vocabulary has
such a token. The same shards serve causal and masked models: tokens are masked when they are read,
anew in each epoch, and [MASK] is id 4 in every learnt vocabulary.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ...example_spec import POSITIONS, SEGMENT_IDS, TOKEN_IDS
from ...vocabulary import SpecialIds
from ..facts import ShardFacts, ShardTask
from ..rejects import Reject
from ..statistics.builder import StatisticsBuilder
from .packing import Packer, Windows
from .records import encode_examples
from .shards import (
    Counts,
    ShardFiles,
    ShardWork,
    Tokens,
    add_statistics,
    kept_rows,
    keyed_batches,
    write_sorted,
)

if TYPE_CHECKING:
    from ...graph_tokenizer import TextTokenizer

ENCODED_TOGETHER = 256
"""Windows; the encoder needs some 50 bytes a token."""

Documents = tuple[Any, Any]
"""Ids int32 `(N,)` of texts one after the other, and their lengths int64 `(B,)`."""


def write_windows(
    task: ShardTask, work: ShardWork, *, tokenizer: TextTokenizer, statistics: StatisticsBuilder
) -> ShardFacts:
    """As `write_shard`. A window holds documents of one shard; the texts file holds documents."""
    documents = document_function(tokenizer)
    rejects: list[Reject] = []
    counts = _WindowCounts(work.sequence_length)
    packer = Packer(work.sequence_length, pad_id=tokenizer.special_ids.pad)
    sink = ShardFiles(task, work)
    with sink:
        for batch in keyed_batches(kept_rows(task, work, rejects)):
            keys, rows = [key for key, _ in batch], [row for _, row in batch]
            token_ids, row_lengths = documents([row.cleaned for row in rows])
            _write(packer.add(token_ids, row_lengths), sink, counts)
            sink.texts.add(keys, rows, None)
            counts.num_documents += len(rows)
            tokens = Tokens(token_ids, None, row_lengths, np.zeros(len(rows), bool))
            add_statistics(statistics, keys, rows, None, tokens)
        _write(packer.finish(), sink, counts)
    return sink.facts(counts, write_sorted(rejects, work))


@functools.lru_cache(maxsize=1)
def document_function(tokenizer: TextTokenizer) -> Callable[[list[str]], Documents]:
    """Cleaned texts -> documents with their special tokens, compiled once where it is ops."""
    import tensorflow as tf

    pieces: Any = tokenizer.pieces
    if tokenizer.in_graph:
        signature = [tf.TensorSpec([None], tf.string)]
        pieces = tf.function(pieces, input_signature=signature, autograph=False)

    def documents(texts: list[str]) -> Documents:
        rows = pieces(tf.constant(texts, tf.string))
        return delimited(rows.values.numpy(), rows.row_lengths().numpy(), tokenizer.special_ids)

    return documents


def delimited(token_ids: Any, row_lengths: Any, special_ids: SpecialIds) -> Documents:
    """Each row with the start, if there is one, and the end of a text around it."""
    before = 0 if special_ids.start is None else 1
    lengths = row_lengths + before + 1
    ends = np.cumsum(lengths)
    whole = np.full(int(lengths.sum()), special_ids.end, np.int32)
    is_text = np.ones(len(whole), bool)
    is_text[ends - 1] = False
    if special_ids.start is not None:
        is_text[ends - lengths] = False
        whole[ends - lengths] = special_ids.start
    whole[is_text] = token_ids
    return whole, lengths


def examples(windows: Windows) -> Iterator[list[bytes]]:
    """Serialised windows, some at a time; features in the order of their names."""
    for start in range(0, len(windows.token_ids), ENCODED_TOGETHER):
        part = slice(start, start + ENCODED_TOGETHER)
        columns = {
            POSITIONS: windows.positions[part],
            SEGMENT_IDS: windows.segment_ids[part],
            TOKEN_IDS: windows.token_ids[part],
        }
        yield encode_examples(
            {
                name: (column.ravel(), np.full(len(column), column.shape[1]))
                for name, column in columns.items()
            }
        )


def _write(windows: Windows | None, sink: ShardFiles, counts: _WindowCounts) -> None:
    if windows is not None:
        for encoded in examples(windows):
            sink.write(encoded)
        counts.add_windows(windows)


class _WindowCounts(Counts):
    """Facts of the windows written so far: `num_tokens` counts no padding."""

    def __init__(self, sequence_length: int) -> None:
        super().__init__(0, sequence_length)
        self.num_documents = 0

    def add_windows(self, windows: Windows) -> None:
        num_tokens = windows.num_tokens
        self.add([], Tokens(windows.token_ids, None, num_tokens, np.zeros(len(num_tokens), bool)))

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"num_documents": self.num_documents}
