"""A step is compiled for one shape of batches; another one is told, not compiled."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf
from tensorflow.python.distribute.values import PerReplicaSpec

from tpuline.components.modeling import BagSpec, build
from tpuline.components.training.one_shape import check_one_shape
from tpuline.components.training.optimizer import adamw
from tpuline.components.training.trainee import Trainee


def spec(rows: int | None = 4, width: int = 8, dtype: Any = tf.int32) -> Any:
    return (
        {
            "token_ids": tf.TensorSpec((rows, width), dtype),
            "padding_mask": tf.TensorSpec((rows, 8), tf.int32),
        },
        tf.TensorSpec((rows,), tf.int32),
        tf.TensorSpec((rows,), tf.float32),
    )


def test_same_shapes_pass() -> None:
    check_one_shape(spec(), spec())


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (spec(width=9), r"received 0\.token_ids int32\[4, 8\], now int32\[4, 9\]; give"),
        (spec(dtype=tf.int64), r"received 0\.token_ids int32\[4, 8\], now int64\[4, 8\]; give"),
        (spec()[:2], r"received 2 float32\[4\], now nothing; give"),
    ],
)
def test_other_shapes_are_told_by_what_differs(now: Any, told: str) -> None:
    with pytest.raises(RuntimeError, match=told):
        check_one_shape(spec(), now)


def test_open_sides_are_refused_even_if_they_stay_so() -> None:
    with pytest.raises(RuntimeError, match=r"int32\[None, 8\], which leaves a side open"):
        check_one_shape(spec(rows=None), spec(rows=None))


@pytest.mark.parametrize("rows", [4, None])
def test_open_sides_are_seen_in_the_batches_of_several_replicas(rows: int | None) -> None:
    of_two = tf.nest.map_structure(lambda one: PerReplicaSpec(one, one), spec(rows=rows))
    if rows is None:
        with pytest.raises(RuntimeError, match="which leaves a side open"):
            check_one_shape(of_two, of_two)
    else:
        check_one_shape(of_two, of_two)


class Counting(Trainee):
    """Counts how often its step is traced: Python runs no other time."""

    traces = 0

    def train_step(self, data: Any) -> None:
        self.traces += 1
        super().train_step(data)


def trainee() -> Counting:
    model = build(
        BagSpec(embedding_dim=4, hidden_dim=4),
        vocabulary_size=10,
        sequence_length=8,
        num_labels=2,
        has_text_pair=False,
    )
    made = Counting(
        inputs=model.input,
        outputs=model.output,
        shapes=((4, 8),),
        steps_per_epoch=1,
        validation_steps=1,
    )
    optimizer = adamw(peak=1e-3, warmup_steps=1, total_steps=9, weight_decay=0.0, clip_norm=1.0)
    made.compile(optimizer=optimizer, jit_compile=False)
    made.optimizer.build(made.trainable_variables)
    return made


def batches(rows: int) -> Any:
    features = {name: tf.ones((rows, 8), tf.int32) for name in ("token_ids", "padding_mask")}
    row = features, tf.zeros(rows, tf.int32), tf.ones(rows)
    return iter(tf.data.Dataset.from_tensors(row).repeat())


def test_training_refuses_a_second_shape() -> None:
    ours = trainee()
    ours.run_steps(batches(4), 2)
    with pytest.raises(RuntimeError, match=r"0\.token_ids int32\[4, 8\], now int32\[2, 8\]"):
        ours.run_steps(batches(2), 2)


def test_step_is_traced_once_however_many_are_run() -> None:
    ours = trainee()
    ours.run_steps(batches(4), 2)
    once = ours.traces
    for num_steps in (5, 1, 3):  # the tail of an epoch is shorter
        ours.run_steps(batches(4), num_steps)
    assert ours.traces == once > 0
