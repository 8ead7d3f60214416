"""The last block for the first token alone: what is read of it stays as it is."""

from __future__ import annotations

from typing import Any

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from tpuline.components.first_token import of_first_token

LENGTH = 12


@pytest.fixture(scope="module")
def features() -> dict[str, tf.Tensor]:
    chance = np.random.default_rng(3)
    lengths = np.array([12, 5, 1])
    mask = (np.arange(LENGTH) < lengths[:, None]).astype("int32")
    ids = chance.integers(0, 50, size=(3, LENGTH)).astype("int32")
    return {
        "token_ids": tf.constant(ids),
        "padding_mask": tf.constant(mask),
        "segment_ids": tf.zeros_like(ids),
    }


def backbone(*, narrowed: bool) -> Any:
    keras.utils.set_random_seed(5)
    made = keras_hub.models.BertBackbone(
        vocabulary_size=50, num_layers=2, num_heads=2, hidden_dim=16, intermediate_dim=32,
        max_sequence_length=LENGTH, dropout=0.0,
    )  # fmt: skip
    if narrowed:
        of_first_token(made.transformer_layers[-1])
    return made


def pooled_and_gradients(model: Any, features: Any) -> tuple[Any, list[Any]]:
    @tf.function
    def step() -> Any:
        with tf.GradientTape() as tape:
            pooled = model(features, training=True)["pooled_output"]
            loss = tf.reduce_sum(pooled**2)
        return pooled, [
            tf.convert_to_tensor(g) for g in tape.gradient(loss, model.trainable_weights)
        ]

    pooled, gradients = step()
    return pooled.numpy(), [gradient.numpy() for gradient in gradients]


def test_pooled_output_and_gradients_are_those_of_the_whole_block(features: Any) -> None:
    plain, plain_gradients = pooled_and_gradients(backbone(narrowed=False), features)
    ours, our_gradients = pooled_and_gradients(backbone(narrowed=True), features)
    np.testing.assert_allclose(ours, plain, atol=1e-6)
    for mine, theirs in zip(our_gradients, plain_gradients, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_only_the_first_token_is_computed(features: Any) -> None:
    states = backbone(narrowed=True)(features)["sequence_output"]
    assert states.shape == (3, 1, 16)
