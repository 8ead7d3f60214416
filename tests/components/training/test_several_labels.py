"""Trainings on rows with none, one or several labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.components.training import toy
from tests.components.training.test_replicas import _child
from tpuline.components.modeling import BagSpec, build
from tpuline.components.training import dataset
from tpuline.components.training.progress import SUMS, Totals
from tpuline.components.training.trainee import _batch_sums

LOGITS = np.array([[2.0, -1.0, 0.5], [-3.0, 0.1, -0.2], [9.0, 9.0, -9.0]], np.float32)
LABELS = np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1]], np.int32)
MASK = {"padding_mask": np.ones((3, 4), np.int32)}

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]  # children import TensorFlow, too


def sums(logits: Any, weights: list[float]) -> Totals:
    batch = (MASK, tf.constant(LABELS), tf.constant(weights))
    found = _batch_sums(logits, batch)
    assert found.dtype == tf.float32
    return Totals(**dict(zip(SUMS, found.numpy().tolist(), strict=True)))


def test_loss_is_the_binary_cross_entropy_of_rows_by_their_weights() -> None:
    found = sums(LOGITS, [1.0, 2.0, 0.0])
    probabilities = 1 / (1 + np.exp(-LOGITS.astype(float)))
    entropy = -np.log(np.where(LABELS == 1, probabilities, 1 - probabilities)).mean(axis=1)
    assert found.loss == pytest.approx(entropy[0] + 2 * entropy[1], rel=1e-5)
    assert found.rows == 3.0 and found.tokens == 12.0
    assert found.hits == pytest.approx(2 / 3 + 2 * 2 / 3)


def test_micro_f1_counts_labels_of_all_rows() -> None:
    means = sums(LOGITS, [1.0, 1.0, 1.0]).means()
    assert means["micro_f1"] == pytest.approx(2 * 1 / (5 + 2))  # one found; 5 answered, 2 true
    assert means["accuracy"] == pytest.approx((2 + 2 + 0) / 9)


def test_loss_of_16_bit_logits_is_float32() -> None:
    rounded = tf.cast(LOGITS, tf.bfloat16)
    wide = tf.cast(rounded, tf.float32)
    assert sums(rounded, [1.0] * 3) == sums(wide, [1.0] * 3)


def test_model_of_bfloat16_gives_float32_logits() -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(
            BagSpec(embedding_dim=4, hidden_dim=4),
            vocabulary_size=9,
            sequence_length=5,
            num_labels=3,
            has_text_pair=False,
        )
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("hidden").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"


def test_batches_of_several_widths_keep_rows_and_labels_together(tmp_path: Path) -> None:
    shards = toy.shard_set(tmp_path, several=True)
    made = toy.rows(21, seed=2)
    num_narrow = sum(len(ids) <= 8 for ids, _ in made)
    batches = dataset.validation_batches(
        shards.split("validation"),
        tmp_path,
        lengths=(8, 16),
        rows=(8, 4),
        shape_rows=(8, 4),
        has_text_pair=False,
        num_steps=-(-num_narrow // 8) + -(-(21 - num_narrow) // 4),
        label_width=3,
    )
    whole, filled = [], []
    for features, labels, weights in batches:
        assert labels.shape == (len(weights), 3)
        whole += zip(features["token_ids"].numpy(), labels.numpy(), weights.numpy(), strict=True)
    for _, labels, weights in dataset.in_one_shape(batches, lengths=(8, 16), rows=(8, 4)):
        assert labels.shape == (8, 3)
        filled += zip(labels.numpy().tolist(), weights.numpy(), strict=True)
    expected = {tuple(ids): toy.labels_on(ids, ids.count(6)) for ids, _ in made}
    kept = [(tuple(t for t in ids.tolist() if t), on.tolist()) for ids, on, w in whole if w]
    assert len(kept) == 21 and all(expected[ids] == on for ids, on in kept)
    assert [on for on, weight in filled if weight] == [on for _, on in kept]


def test_one_and_two_replicas_learn_the_same() -> None:
    training = {
        "model": "bag",
        "several": True,
        "dropout": 0.0,
        "epochs": 4,
        "global_batch_size": 8,
        "learning_rate": 0.02,
        "buckets": [6, 16],
    }
    one, two = (
        _child({"replicas": n, "trainings": [dict(training)]})["trained"][0] for n in (1, 2)
    )
    assert (one["num_replicas"], two["num_replicas"]) == (1, 2)
    for ours, theirs in zip(one["history"], two["history"], strict=True):
        for name in ("loss", "accuracy", "micro_f1", "val_loss", "val_accuracy", "val_micro_f1"):
            assert ours[name] == pytest.approx(theirs[name], abs=1e-4), name
    losses = [epoch["val_loss"] for epoch in one["history"]]
    assert losses == sorted(losses, reverse=True)
