"""Builds the classifier on the lane's devices and fits it, from the start or from a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from ..compiling import check_compiles
from ..contracts import Rollback, ShardSet, TrainedModel
from ..modeling import without_preset
from ..stage import Lane, Log, SecondsAtPeak, uncounted
from . import callbacks
from .checkpoint import Checkpoints
from .config import Config
from .fitting import Fitting, fitting
from .lesson import Lesson, Masks
from .optimizer import adamw
from .plan import Plan, make_plan
from .trainee import Trainee

_UNEVEN = 1.1  # as many steps as evenly dealt rows would take, at the least that is told


def train(
    config: Config,
    shards: ShardSet,
    *,
    workdir: Path,
    checkpoints: Checkpoints,
    seed: int,
    lane: Lane,
    log: Log,
    user_callbacks: tuple[keras.callbacks.Callback, ...] = (),
    lesson: Lesson | None = None,
    seconds_at_peak: SecondsAtPeak = uncounted,
) -> TrainedModel:
    """See `stage.run`. The same seed and number of replicas give the same weights on a CPU, however
    often the training was interrupted.

    Dropout draws the same mask on every replica: Keras mirrors the state of its generators.
    """
    # Whatever ran in this process before leaves no trace in names or random numbers.
    keras.backend.clear_session()
    # tf.data compares its seeds, which are tensors, where the global one is 0 (mod 2**31 - 1).
    keras.utils.set_random_seed(seed or 2**31 - 2)
    plan, classifier, trainee, masks = _built(config, shards, lane, lesson or Lesson())
    _announce(classifier, plan, shards, lane, log)
    _warn_of_idle_hosts(config, plan, shards, lane, log)
    fitted = fitting(
        config,
        shards,
        plan,
        trainee,
        save=classifier.save_weights,
        workdir=workdir,
        checkpoints=checkpoints,
        seed=seed,
        lane=lane,
        log=log,
        masks=masks,
        user_callbacks=user_callbacks,
    )
    fitted.speed.seconds_at_peak = _at_peak(seconds_at_peak, classifier, plan, lane)
    verdict = fitted.fit()
    return TrainedModel(
        uri=str(workdir),
        weights_file=callbacks.WEIGHTS_FILE,
        model=without_preset(config.model, classifier),
        strategy=lane.strategy_name,
        num_replicas=lane.num_replicas,
        precision=lane.precision,
        accelerator=lane.accelerator,
        global_batch_size=config.global_batch_size,
        num_parameters=classifier.count_params(),
        padding_share=plan.padding_share,
        padding_share_of_one_width=plan.padding_share_of_one_width,
        batch_widths=plan.lengths,
        batch_rows=plan.shape_rows,
        input=verdict,
        **_outcome(fitted),
    )


def _built(
    config: Config, shards: ShardSet, lane: Lane, lesson: Lesson
) -> tuple[Plan, keras.Model, Trainee, Masks | None]:
    """The plan, and the model on the devices of the lane: as it is saved, and as it is trained."""
    if config.xla and lane.strategy_name != "tpu":
        check_compiles("xla", "set it to false, or train where that build is installed")
    plan = make_plan(
        config,
        shards,
        num_replicas=lane.num_replicas,
        strategy=lane.strategy_name,
        num_hosts=lane.num_hosts,
    )
    with lane.scope():
        classifier = lesson.model(config, shards)
        masks = lesson.masks(classifier, plan.total_steps)
        trainee = compiled(
            classifier,
            config,
            plan,
            objective=lesson.objective(),
            labels_share=lesson.labels_share,
            masks=masks,
        )
    trainee.num_workers = lane.num_workers
    return plan, classifier, trainee, masks


def _at_peak(
    counted: SecondsAtPeak, classifier: keras.Model, plan: Plan, lane: Lane
) -> tuple[float, ...] | None:
    """Seconds of a step of each width, were the chips at their peak."""
    by_width = counted(
        accelerator=lane.accelerator,
        num_parameters=classifier.count_params(),
        precision=lane.precision,
        rows_by_width=dict(zip(plan.lengths, plan.shape_rows, strict=True)),
    )
    return None if by_width is None else tuple(by_width[width] for width in plan.lengths)


def _outcome(fitted: Fitting) -> dict[str, Any]:
    """The fields of `TrainedModel` that tell how it went."""
    best, recorder, speed = fitted.books.best, fitted.books.recorder, fitted.speed
    return {
        "num_steps": recorder.history[-1].step,
        "best_step": best.step,
        "best_val_loss": best.loss,
        "history": tuple(recorder.history),
        "examples_per_s": speed.examples_per_s,
        "tokens_per_s": speed.tokens_per_s,
        "timed_steps": tuple(speed.steps_by_width),
        "timed_seconds": speed.seconds,
        "num_resumed": fitted.books.num_resumed,
        "rollbacks": tuple(
            Rollback(epoch=epoch + 1, first_batch=first, num_batches=end - first, reason=reason)
            for epoch, first, end, reason in fitted.trainee.progress.skipped
        ),
    }


def _announce(classifier: keras.Model, plan: Plan, shards: ShardSet, lane: Lane, log: Log) -> None:
    log.info(
        f"training {classifier.name} ({classifier.count_params():,} parameters) on "
        f"{lane.description}: {plan.train_steps:,} steps an epoch, {_shapes(plan)}; "
        f"{plan.padding_share:.0%} padding, {plan.padding_share_of_one_width:.0%} were all rows "
        f"{shards.sequence_length} wide",
        num_parameters=classifier.count_params(),
        steps_per_epoch=plan.train_steps,
        steps_per_call=plan.steps_per_call,
        batch_widths=list(plan.lengths),
        batch_rows=list(plan.shape_rows),
        padding_share=round(plan.padding_share, 4),
        padding_share_of_one_width=round(plan.padding_share_of_one_width, 4),
    )


def _warn_of_idle_hosts(config: Config, plan: Plan, shards: ShardSet, lane: Lane, log: Log) -> None:
    if lane.num_hosts == 1:
        return
    alone = make_plan(config, shards, num_replicas=lane.num_replicas, strategy=lane.strategy_name)
    if plan.train_steps > _UNEVEN * alone.train_steps:
        log.warning(
            f"train: {len(shards.split('train').shards)} shards give some of the "
            f"{lane.num_hosts} hosts more rows than others, which then wait: "
            f"{plan.train_steps:,} steps an epoch instead of {alone.train_steps:,}; raise "
            "preprocess.num_shards for more even shares"
        )


def compiled(classifier: keras.Model, config: Config, plan: Plan, **learnt: Any) -> Trainee:
    """The classifier ready to fit; call it inside the scope of the lane.

    `learnt` is what `Trainee` takes of a `Lesson`.
    """
    trainee = Trainee(
        inputs=classifier.input,
        outputs=classifier.output,
        shapes=tuple(zip(plan.shape_rows, plan.lengths, strict=True)),
        rows=plan.dealt_rows,
        steps_per_epoch=plan.train_steps,
        validation_steps=plan.validation_steps,
        accumulate_steps=config.accumulate_steps,
        xla=config.xla,
        **learnt,
    )
    trainee.compile(
        optimizer=adamw(
            **plan.rate,
            weight_decay=config.weight_decay,
            clip_norm=config.clip_norm,
            ema_decay=config.ema_decay,
        ),
        jit_compile=False,
        steps_per_execution=plan.steps_per_call,
    )
    trainee.optimizer.build(trainee.trainable_variables)
    return trainee


def _shapes(plan: Plan) -> str:
    pairs = (f"{rows} x {width}" for rows, width in zip(plan.shape_rows, plan.lengths, strict=True))
    return f"batches of {', '.join(pairs)}"
