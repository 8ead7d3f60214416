"""Builds the classifier on the lane's devices and fits it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from ..contracts import ShardSet, TrainedModel
from ..example_spec import PADDING_MASK
from ..modeling import build, without_preset
from ..stage import Lane, Log
from . import buckets, callbacks, dataset, schedule
from .optimizer import adamw
from .stage import Config


class Latest(keras.metrics.Metric):
    """The value of the last step, so that a fact of a batch reaches the callbacks."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.value = self.add_variable((), "zeros", aggregation="mean", name="value")

    def update_state(self, value: Any) -> None:
        self.value.assign(tf.cast(value, tf.float32))

    def result(self) -> Any:
        return self.value


class Trainee(keras.Model):
    """The classifier's layers with a training step that also says what was in the batch."""

    def __init__(self, **layers: Any) -> None:
        super().__init__(**layers)
        self.examples, self.tokens, self.width = (
            Latest(name) for name in ("examples", "tokens", "width")
        )

    def train_step(self, data: Any) -> dict[str, Any]:
        features, _, weights = data
        mask = features[PADDING_MASK]
        per_row = tf.cast(tf.reduce_sum(mask, axis=1), tf.float32)
        self.examples.update_state(tf.reduce_sum(weights))
        self.tokens.update_state(tf.reduce_sum(per_row * weights))
        self.width.update_state(tf.shape(mask)[1])
        return super().train_step(data)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What follows from config and shards before anything is built."""

    lengths: tuple[int, ...]  # of batches, increasing
    train_steps: int  # an epoch
    validation_steps: int
    total_steps: int  # unless stopped early
    rate: dict[str, Any]  # arguments of `schedule.learning_rate`
    padding_share: float  # of the positions of an epoch


def train(
    config: Config, shards: ShardSet, *, workdir: Path, seed: int, lane: Lane, log: Log
) -> TrainedModel:
    """See `stage.run`. The same seed and number of replicas give the same weights on a CPU.

    Dropout draws the same mask on every replica: Keras mirrors the state of its generators.
    """
    # Whatever ran in this process before leaves no trace in names or random numbers.
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    plan = make_plan(config, shards)
    with lane.scope():
        classifier = build(
            config.model,
            vocabulary_size=shards.vocabulary_size,
            sequence_length=shards.sequence_length,
            num_labels=len(shards.label_names),
            has_text_pair=shards.has_text_pair,
        )
        trainee = compiled(classifier, config, plan)
    num_parameters = classifier.count_params()
    log.info(
        f"training {classifier.name} ({num_parameters:,} parameters) on {lane.description}: "
        f"{plan.train_steps:,} steps an epoch, {plan.padding_share:.0%} padding",
        num_parameters=num_parameters,
        steps_per_epoch=plan.train_steps,
        batch_widths=list(plan.lengths),
        padding_share=round(plan.padding_share, 4),
    )
    speed = callbacks.Speedometer(lane.num_replicas)
    best = callbacks.BestWeights(classifier, workdir, patience=config.early_stopping_patience)
    recorder = callbacks.Recorder(
        workdir / "tensorboard",
        num_steps=plan.total_steps,
        learning_rate=partial(schedule.learning_rate, **plan.rate),
        speed=speed,
        log=log,
    )
    _fit(trainee, config, shards, plan, seed, (speed, best, recorder))
    return TrainedModel(
        uri=str(workdir),
        weights_file=callbacks.WEIGHTS_FILE,
        model=without_preset(config.model, classifier),
        strategy=lane.strategy_name,
        num_replicas=lane.num_replicas,
        precision=lane.precision,
        global_batch_size=config.global_batch_size,
        num_steps=recorder.history[-1].step,
        best_step=best.step,
        best_val_loss=best.loss,
        examples_per_s=speed.examples_per_s,
        tokens_per_s=speed.tokens_per_s,
        num_parameters=num_parameters,
        history=tuple(recorder.history),
    )


def make_plan(config: Config, shards: ShardSet) -> Plan:
    """Widths and numbers of batches, from the length counts of the shards alone."""
    training, validation = (shards.split(name).length_counts for name in ("train", "validation"))
    lengths = buckets.bucket_lengths(
        config.buckets,
        sequence_length=shards.sequence_length,
        longest=max(n for counts in (training, validation) for n, c in enumerate(counts) if c),
    )
    train_steps = buckets.num_batches(training, lengths, config.global_batch_size)
    total_steps = train_steps * config.epochs
    return Plan(
        lengths=lengths,
        train_steps=train_steps,
        validation_steps=buckets.num_batches(validation, lengths, config.global_batch_size),
        total_steps=total_steps,
        rate={
            "peak": config.learning_rate,
            "warmup_steps": schedule.num_warmup_steps(total_steps, config.warmup_share),
            "total_steps": total_steps,
        },
        padding_share=buckets.padding_share(training, lengths, config.global_batch_size),
    )


def compiled(classifier: keras.Model, config: Config, plan: Plan) -> Trainee:
    """The classifier ready to fit; call it inside the scope of the lane."""
    trainee = Trainee(inputs=classifier.input, outputs=classifier.output)
    # The loss divides by all rows, those of weight 0 included: a batch of few real rows then moves
    # the weights as little as these rows would in a full one. Only weighted metrics are true means
    # over rows; Keras' own val_loss weighs batches.
    trainee.compile(
        optimizer=adamw(**plan.rate, weight_decay=config.weight_decay, clip_norm=config.clip_norm),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[
            keras.metrics.SparseCategoricalCrossentropy(name="cross_entropy", from_logits=True),
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
        ],
        jit_compile=False,
    )
    return trainee


def _fit(
    trainee: Trainee,
    config: Config,
    shards: ShardSet,
    plan: Plan,
    seed: int,
    watchers: tuple[callbacks.Speedometer, callbacks.BestWeights, callbacks.Recorder],
) -> None:
    reader: dict[str, Any] = {
        "lengths": plan.lengths,
        "batch_size": config.global_batch_size,
        "has_text_pair": shards.has_text_pair,
    }
    speed, best, recorder = watchers
    try:
        trainee.fit(
            dataset.training_batches(
                shards.split("train"),
                shards.uri,
                shuffle_rows=config.shuffle_rows,
                num_steps=plan.train_steps,
                epochs=config.epochs,
                seed=seed,
                **reader,
            ),
            epochs=config.epochs,
            steps_per_epoch=plan.train_steps,
            validation_data=dataset.validation_batches(
                shards.split("validation"), shards.uri, num_steps=plan.validation_steps, **reader
            ),
            # In this order: no broken weights are kept, and no broken loss is recorded.
            callbacks=[callbacks.StopOnBrokenLoss(best), speed, best, recorder],
            shuffle=False,  # the dataset has done it
            verbose=0,
        )
    finally:
        recorder.close()
