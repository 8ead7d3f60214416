"""Byte-level BPE through the `tokenizers` library: no TensorFlow op, so it cannot be served.

Byte pairs are merged in the order in which they were learnt (Radford et al. 2019, section 2.2), so
every text has ids and none is unknown. KerasHub's op for it fills a table while it runs, which a
SavedModel cannot carry.
"""

from __future__ import annotations

from itertools import chain

import numpy as np
import tensorflow as tf

from .byte_pair import load_tokenizer, special_ids
from .graph_tokenizer import TextTokenizer


class BytePairTokenizer(TextTokenizer):
    """A tokenizer.json, whatever normalizer and word splitting it asks for."""

    in_graph = False

    def __init__(self, content: bytes, *, sequence_length: int, has_text_pair: bool) -> None:
        super().__init__(
            special_ids(content), sequence_length=sequence_length, has_text_pair=has_text_pair
        )
        self._tokenizer = load_tokenizer(content)

    def pieces(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """As the base has it, but only outside of a graph."""
        decoded = [text.decode() for text in texts.numpy()]
        encodings = self._tokenizer.encode_batch_fast(decoded, add_special_tokens=False)
        rows = [encoding.ids for encoding in encodings]
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        values = np.fromiter(chain.from_iterable(rows), np.int32, int(lengths.sum()))
        return tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)
