"""Blocks that compute again: the same gradients, with every block in the graph twice."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.components.pretrained import rows
from tests.xla import needs_xla_for_cpus
from tpuline.components.modeling import BertSpec, build, without_preset

LAYERS = 2
PLAIN = BertSpec(num_layers=LAYERS, num_heads=2, hidden_dim=8, intermediate_dim=12, dropout=0.4)
REMAT = dataclasses.replace(PLAIN, remat=True)
FEATURES = rows([2, 9, 8, 3], [2, 7, 6, 5, 4, 3], [2, 3])


def made(spec: BertSpec) -> keras.Model:
    keras.utils.set_random_seed(1)
    return build(spec, vocabulary_size=30, sequence_length=12, num_labels=3, has_text_pair=False)


def step_of(model: keras.Model, *, jit_compile: bool = False) -> Any:
    """A graph of loss and gradients, as training makes it."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(jit_compile=jit_compile)
    def step() -> Any:
        with tf.GradientTape() as tape:
            value = loss(tf.constant([0, 1, 2]), model(FEATURES, training=True))
        gradients = tape.gradient(value, [v.value for v in model.trainable_variables])
        return value, [tf.convert_to_tensor(gradient) for gradient in gradients]

    return step


def num_ops(step: Any, kind: str) -> int:
    graph = step.get_concrete_function().graph
    return sum(operation.type == kind for operation in graph.get_operations())


def test_gradients_are_the_same_to_the_bit_under_dropout() -> None:
    plain, remat = made(PLAIN), made(REMAT)
    steps = step_of(plain), step_of(remat)
    for _ in range(3):  # each with dropout masks of its own
        (loss, gradients), (again, others) = steps[0](), steps[1]()
        assert float(loss) == float(again)
        for one, other in zip(gradients, others, strict=True):
            assert np.array_equal(one, other)
    for one, other in zip(plain.variables, remat.variables, strict=True):
        assert np.array_equal(one.numpy(), other.numpy())  # random states as well


def test_every_block_is_in_the_graph_of_a_step_twice() -> None:
    # A tanh in each block's activation and one in the pooler.
    assert num_ops(step_of(made(PLAIN)), "Tanh") == LAYERS + 1
    assert num_ops(step_of(made(REMAT)), "Tanh") == 2 * LAYERS + 1


@needs_xla_for_cpus
def test_compiler_keeps_what_is_computed_twice() -> None:
    """XLA, as on a TPU, would drop what it sees to be the same."""
    results, programs = [], []
    for spec in (PLAIN, REMAT):
        step = step_of(made(dataclasses.replace(spec, num_layers=1)), jit_compile=True)
        results.append([np.asarray(gradient) for gradient in step()[1]])
        programs.append(step.experimental_get_compiler_ir()(stage="optimized_hlo"))
    for one, other in zip(*results, strict=True):
        assert other == pytest.approx(one, abs=1e-6)
    assert [program.count(" tanh(") for program in programs] == [1 + 1, 2 + 1]


def test_nothing_is_computed_twice_where_nothing_is_learnt() -> None:
    model = made(REMAT)
    answer = tf.function(lambda: model(FEATURES, training=False))
    assert num_ops(answer, "Tanh") == LAYERS + 1
    assert np.asarray(answer()) == pytest.approx(np.asarray(made(PLAIN)(FEATURES)), abs=1e-6)


def test_gradients_are_the_same_in_16_bits() -> None:
    results = []
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        for spec in (PLAIN, REMAT):
            loss, gradients = step_of(made(spec))()
            assert loss.dtype == tf.float32
            results.append([np.asarray(gradient) for gradient in gradients])
    finally:
        keras.config.set_dtype_policy("float32")
    for one, other in zip(*results, strict=True):
        assert np.array_equal(one, other)


def test_model_is_served_without_it() -> None:
    served = without_preset(REMAT, made(REMAT))
    assert served == PLAIN
