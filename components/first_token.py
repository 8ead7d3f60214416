"""The last transformer block, computed for the first token alone: a classifier reads no other.

What the pooled output is made of stays as it is, and so do all weights: keys and values still come
from every token. Queries, the attention's output and the feed-forward part, five sixths of a
block's multiplications at short lengths and more at long ones, fall away for all tokens but one.
"""

from __future__ import annotations

from typing import Any


def of_first_token(block: Any) -> None:
    """Has a built `TransformerEncoder` that normalizes last give `(B, 1, D)` for `(B, L, D)`.

    For what reads `[:, 0]` of its output only. Dropout draws fewer numbers than it would.
    """
    assert not block.normalize_first
    call = block.call

    def first(inputs: Any, padding_mask: Any = None, training: bool | None = None) -> Any:
        if _is_symbolic(inputs):
            return call(inputs, padding_mask=padding_mask, training=training)
        token = inputs[:, :1]
        attended = block._self_attention_layer(
            query=token, value=inputs, attention_mask=_to_all(padding_mask), training=training
        )
        attended = block._self_attention_dropout(attended, training=training)
        hidden = block._self_attention_layer_norm(attended + token)
        fed = block._feedforward_output_dense(block._feedforward_intermediate_dense(hidden))
        fed = block._feedforward_dropout(fed, training=training)
        return block._feedforward_layer_norm(fed + hidden)

    block.call = first


def _to_all(padding_mask: Any) -> Any:
    """`(B, L)` -> `(B, 1, L)`: whom the first token attends to."""
    import keras

    if padding_mask is None:
        return None
    return keras.ops.expand_dims(keras.ops.cast(padding_mask, "bool"), 1)


def _is_symbolic(value: Any) -> bool:
    import keras

    return isinstance(value, keras.KerasTensor)
