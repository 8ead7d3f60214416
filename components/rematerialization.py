"""Transformer blocks that keep nothing for the backward pass but their input, and compute again.

The idea: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"
(https://arxiv.org/abs/1604.06174). `keras.RematScope` does not do here: KerasHub calls its blocks
with keyword arguments, which `tf.recompute_grad` refuses in a graph, and dropout would draw anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def rematerialize(block: Any) -> None:
    """Has a built `TransformerEncoder` compute again what its backward pass needs.

    Both times dropout gets the same seeds, those that it would have got anyway: the gradients are
    those of the block as it was. Costs one more forward pass of the block a step.
    """
    generators = _seed_generators(block)
    call = block.call

    def remembering_little(
        inputs: Any, padding_mask: Any = None, training: bool | None = None
    ) -> Any:
        if not training or _is_symbolic(inputs):
            return call(inputs, padding_mask=padding_mask, training=training)
        # Seeds move on here, once; inside they only stand for themselves.
        seeds = [(generator.state, generator.next()) for generator in generators]
        return _recomputed(
            lambda x: call(x, padding_mask=padding_mask, training=training), inputs, seeds
        )

    block.call = remembering_little


def _recomputed(call: Callable[[Any], Any], inputs: Any, seeds: list[tuple[Any, Any]]) -> Any:
    import keras
    import tensorflow as tf

    def with_seeds(x: Any) -> Any:
        with keras.StatelessScope(state_mapping=seeds):
            return call(x)

    return tf.recompute_grad(with_seeds)(inputs)


def _is_symbolic(value: Any) -> bool:
    import keras

    return isinstance(value, keras.KerasTensor)


def _seed_generators(block: Any) -> list[Any]:
    """Of all dropout layers that draw, in a fixed order."""
    import keras

    return [
        layer.seed_generator
        for layer in block._flatten_layers()
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0
    ]
