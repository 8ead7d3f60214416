"""SentencePiece as a TensorFlow op: the model's own normalization, then its unigrams or merges."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_text as tf_text

from .graph_tokenizer import TextTokenizer
from .sentencepiece_model import special_ids


class SentencepieceTokenizer(TextTokenizer):
    """Kudo and Richardson 2018 (https://aclanthology.org/D18-2012); the model holds everything."""

    def __init__(self, model: bytes, *, sequence_length: int, has_text_pair: bool) -> None:
        super().__init__(
            special_ids(model), sequence_length=sequence_length, has_text_pair=has_text_pair
        )
        self._sentencepiece = tf_text.SentencepieceTokenizer(model, out_type=tf.int32)

    def pieces(self, texts: tf.Tensor) -> tf.RaggedTensor:
        return self._sentencepiece.tokenize(texts)
