"""Adapters and frozen backbones: what learns, what does not, and what is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.components.pretrained import HEADS, LAYERS, WIDTH, hugging_face_folder, rows
from tpuline.components.modeling import BertSpec, build, without_preset

RANK, LABELS = 2, 3
HEAD = WIDTH * LABELS + LABELS
# Beside queries and values: A is (width, heads, rank), B is (rank, width of a head).
ADAPTERS = LAYERS * 2 * (WIDTH * HEADS * RANK + RANK * WIDTH // HEADS)
FEATURES = rows([2, 9, 8, 3], [2, 7, 6, 5, 4, 3], [2, 3])
TRUTH = np.array([0, 1, 2])


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> str:
    return hugging_face_folder(tmp_path_factory.mktemp("preset"))


def made(spec: BertSpec) -> keras.Model:
    keras.utils.set_random_seed(1)
    return build(
        spec, vocabulary_size=30, sequence_length=12, num_labels=LABELS, has_text_pair=False
    )


def fitted(model: keras.Model) -> list[float]:
    """Losses of twenty steps."""
    model.compile(
        optimizer=keras.optimizers.Adam(0.05),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    told = model.fit(FEATURES, TRUTH, epochs=20, verbose=0, shuffle=False)
    return told.history["loss"]


def num_trainable(model: keras.Model) -> int:
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def backbone_weights(model: keras.Model) -> dict[str, np.ndarray]:
    backbone: Any = model.get_layer("backbone")
    return {v.path: v.numpy() for v in backbone.weights if "lora" not in v.path}


def test_adapters_and_head_are_all_that_learns(preset: str) -> None:
    model = made(BertSpec(preset=preset, lora_rank=RANK, dropout=0.0))
    assert num_trainable(model) == ADAPTERS + HEAD
    before = backbone_weights(model)
    losses = fitted(model)
    assert losses[-1] < losses[0] * 0.8
    after = backbone_weights(model)
    assert all(np.array_equal(after[path], value) for path, value in before.items())
    moved = [v for v in model.trainable_variables if "lora_kernel_b" in v.path and np.any(v)]
    assert len(moved) == 2 * LAYERS


def test_adapters_change_nothing_at_first(preset: str) -> None:
    plain, adapted = (made(BertSpec(preset=preset, lora_rank=rank)) for rank in (None, RANK))
    plain.get_layer("logits").set_weights(adapted.get_layer("logits").get_weights())
    assert np.asarray(adapted(FEATURES)) == pytest.approx(np.asarray(plain(FEATURES)), abs=1e-6)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_saved_weights_are_merged_and_give_the_same_logits(
    precision: str, preset: str, tmp_path: Path
) -> None:
    spec = BertSpec(preset=preset, lora_rank=RANK)
    keras.config.set_dtype_policy(precision)
    try:
        model = made(spec)
        fitted(model)
    finally:
        keras.config.set_dtype_policy("float32")
    model.save_weights(tmp_path / "m.weights.h5")
    merged = made(without_preset(spec, model))
    assert not [v for v in merged.variables if "lora" in v.path]
    merged.load_weights(tmp_path / "m.weights.h5")
    exact = unmerged_in_float32(model, spec)
    assert np.asarray(merged(FEATURES)) == pytest.approx(np.asarray(exact(FEATURES)), abs=1e-5)


def unmerged_in_float32(model: keras.Model, spec: BertSpec) -> keras.Model:
    again = made(spec)
    for mine, theirs in zip(again.variables, model.variables, strict=True):
        mine.assign(theirs.numpy())
    return again


def test_checkpoint_holds_adapters_as_they_are(preset: str, tmp_path: Path) -> None:
    spec = BertSpec(preset=preset, lora_rank=RANK)
    model, again = made(spec), made(spec)
    fitted(model)
    path = tf.train.Checkpoint(model=model).write(str(tmp_path / "c"))
    tf.train.Checkpoint(model=again).restore(path).expect_partial()
    for mine, theirs in zip(again.weights, model.weights, strict=True):
        assert np.array_equal(mine.numpy(), theirs.numpy())


@pytest.mark.slow
def test_adapters_learn_the_same_with_blocks_computed_again(preset: str) -> None:
    plain, remat = (
        fitted(made(BertSpec(preset=preset, lora_rank=RANK, dropout=0.3, remat=remat)))
        for remat in (False, True)
    )
    assert remat == pytest.approx(plain, rel=1e-6)


def test_frozen_backbone_leaves_the_head_to_learn(preset: str, tmp_path: Path) -> None:
    spec = BertSpec(preset=preset, freeze_backbone=True, dropout=0.3)
    model = made(spec)
    assert num_trainable(model) == HEAD
    before = backbone_weights(model)
    losses = fitted(model)
    assert min(losses[-5:]) < losses[0]
    assert all(np.array_equal(backbone_weights(model)[p], value) for p, value in before.items())
    model.save_weights(tmp_path / "m.weights.h5")
    served = made(without_preset(spec, model))
    served.load_weights(tmp_path / "m.weights.h5")
    assert np.asarray(served(FEATURES)) == pytest.approx(np.asarray(model(FEATURES)), abs=1e-6)


def test_frozen_backbone_gives_the_features_that_will_be_served(preset: str) -> None:
    model = made(BertSpec(preset=preset, freeze_backbone=True, dropout=0.5))
    features = keras.Model(model.input, model.get_layer("classifier_dropout").input)
    assert np.array_equal(features(FEATURES, training=True), features(FEATURES, training=False))


def test_no_gradient_is_computed_for_a_frozen_backbone(preset: str) -> None:
    kinds = {}
    for freeze in (False, True):
        model = made(BertSpec(preset=preset, freeze_backbone=freeze))

        @tf.function
        def step(model: keras.Model = model) -> Any:
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(model(FEATURES, training=True))
            return tape.gradient(loss, [v.value for v in model.trainable_variables])

        operations = step.get_concrete_function().graph.get_operations()
        kinds[freeze] = sum(operation.type == "TanhGrad" for operation in operations)
    assert kinds == {False: LAYERS + 1, True: 0}
