"""Transformer blocks with fewer attention heads and feed-forward units."""

from __future__ import annotations

from typing import Any


def narrow(block: Any, *, num_heads: int, num_units: int) -> None:
    """Gives a built `TransformerEncoder` attention and feed-forward layers of other sizes.

    A head stays as wide as it was. The new layers have fresh weights, under the old names.
    """
    import keras

    old = block._self_attention_layer
    hidden_dim = block._feedforward_output_dense.units
    shape = (None, None, hidden_dim)
    attention = keras.layers.MultiHeadAttention(
        num_heads=num_heads,
        key_dim=old.key_dim,
        output_shape=hidden_dim,
        dropout=block.dropout,
        dtype=old.dtype_policy,
        name=old.name,
    )
    with keras.name_scope(block.name):
        attention.build(query_shape=shape, value_shape=shape)
    _replace(block, "_self_attention_layer", attention)
    dense, output = block._feedforward_intermediate_dense, block._feedforward_output_dense
    for name, layer, units, width in (
        ("_feedforward_intermediate_dense", dense, num_units, hidden_dim),
        ("_feedforward_output_dense", output, hidden_dim, num_units),
    ):
        new = keras.layers.Dense(
            units, activation=layer.activation, dtype=layer.dtype_policy, name=layer.name
        )
        with keras.name_scope(block.name):
            new.build((None, None, width))
        _replace(block, name, new)


def _replace(block: Any, name: str, layer: Any) -> None:
    """Keras locks what a built layer is made of (3.15); here it is changed on purpose."""
    tracker = block._tracker
    tracker.untrack(getattr(block, name))
    tracker.unlock()
    setattr(block, name, layer)
    tracker.lock()
