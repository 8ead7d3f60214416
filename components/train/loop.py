"""Builds the classifier on the lane's devices and fits it, from the start or from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from ..contracts import InputVerdict, Rollback, ShardSet, TrainedModel
from ..modeling import build, without_preset
from ..stage import Lane, Log
from . import callbacks, dataset, schedule
from .checkpoint import Checkpoints
from .optimizer import adamw
from .plan import Plan, make_plan
from .recorder import Recorder
from .sinks import Mlflow, Sink, TensorBoard
from .speed import Profiler, Speedometer, judge_input
from .stage import Config
from .trainee import BrokenLoss, Trainee

_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)


def train(
    config: Config,
    shards: ShardSet,
    *,
    workdir: Path,
    checkpoints: Checkpoints,
    seed: int,
    lane: Lane,
    log: Log,
) -> TrainedModel:
    """See `stage.run`. The same seed and number of replicas give the same weights on a CPU, however
    often the training was interrupted.

    Dropout draws the same mask on every replica: Keras mirrors the state of its generators.
    """
    # Whatever ran in this process before leaves no trace in names or random numbers.
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    plan = make_plan(config, shards, num_replicas=lane.num_replicas, strategy=lane.strategy_name)
    with lane.scope():
        classifier = build(
            config.model,
            vocabulary_size=shards.vocabulary_size,
            sequence_length=shards.sequence_length,
            num_labels=len(shards.label_names),
            has_text_pair=shards.has_text_pair,
            tokenizer_fingerprint=shards.tokenizer_fingerprint,
        )
        trainee = compiled(classifier, config, plan)
    trainee.num_workers = lane.num_workers
    log.info(
        f"training {classifier.name} ({classifier.count_params():,} parameters) on "
        f"{lane.description}: {plan.train_steps:,} steps an epoch, {_shapes(plan)}; "
        f"{plan.padding_share:.0%} padding, {plan.padding_share_of_one_width:.0%} were all rows "
        f"{shards.sequence_length} wide",
        num_parameters=classifier.count_params(),
        steps_per_epoch=plan.train_steps,
        steps_per_call=plan.steps_per_call,
        batch_widths=list(plan.lengths),
        batch_rows=list(plan.rows),
        padding_share=round(plan.padding_share, 4),
        padding_share_of_one_width=round(plan.padding_share_of_one_width, 4),
    )
    fitting = _fitting(
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
    )
    verdict = fitting.fit()
    best, recorder, speed = fitting.books.best, fitting.books.recorder, fitting.speed
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
        num_parameters=classifier.count_params(),
        history=tuple(recorder.history),
        padding_share=plan.padding_share,
        padding_share_of_one_width=plan.padding_share_of_one_width,
        batch_widths=plan.lengths,
        batch_rows=plan.rows,
        num_resumed=fitting.books.num_resumed,
        rollbacks=tuple(
            Rollback(epoch=epoch + 1, first_batch=first, num_batches=end - first, reason=reason)
            for epoch, first, end, reason in trainee.progress.skipped
        ),
        input=verdict,
        accelerator=lane.accelerator,
        timed_steps=tuple(speed.steps_by_width),
        timed_seconds=speed.seconds,
    )


def compiled(classifier: keras.Model, config: Config, plan: Plan) -> Trainee:
    """The classifier ready to fit; call it inside the scope of the lane."""
    trainee = Trainee(
        inputs=classifier.input,
        outputs=classifier.output,
        shapes=tuple(zip(plan.rows, plan.lengths, strict=True)),
        steps_per_epoch=plan.train_steps,
        validation_steps=plan.validation_steps,
        accumulate_steps=config.accumulate_steps,
        xla=config.xla,
    )
    trainee.compile(
        optimizer=adamw(**plan.rate, weight_decay=config.weight_decay, clip_norm=config.clip_norm),
        jit_compile=False,
        steps_per_execution=plan.steps_per_call,
    )
    trainee.optimizer.build(trainee.trainable_variables)
    return trainee


def _shapes(plan: Plan) -> str:
    pairs = (f"{rows} x {width}" for rows, width in zip(plan.rows, plan.lengths, strict=True))
    return f"batches of {', '.join(pairs)}"


@dataclass(kw_only=True)
class _Fitting:
    """`fit`, taken up again after an interruption and after a loss that broke."""

    config: Config
    plan: Plan
    trainee: Trainee
    books: callbacks.Books
    speed: Speedometer
    profilers: tuple[Profiler, ...]
    checkpointer: callbacks.Checkpointer
    checkpoints: Checkpoints
    training: Callable[..., Any]  # start=(epoch, step) -> what `fit` takes
    validation: Callable[[], Any]
    repeated: Callable[[int], Any]
    num_workers: int
    log: Log

    def fit(self) -> InputVerdict | None:
        """Trains to the end; what is left are the best weights on disk, and the books."""
        finished = False
        try:
            if self._restore():
                self.books.num_resumed += 1
            while not self._is_over():
                try:
                    self._fit_on()
                except BrokenLoss as broken:
                    self._roll_back(broken)
                except tf.errors.OpError as error:
                    raise self._in_our_words(error) from error
            self.checkpointer.stop_if_told()
            finished = True
        finally:
            for profiler in self.profilers:
                profiler.close()
            self.books.recorder.close(finished=finished)
            self.checkpointer.close()
        if self.num_workers > 1:  # each would find another number of steps to be enough
            return None
        return judge_input(self.trainee, self.speed, self.repeated)

    def _in_our_words(self, error: tf.errors.OpError) -> Exception:
        """What is left of several workers hears of a lost one as an error of some collective op."""
        if self.num_workers == 1 or not isinstance(error, _LOST):
            return error
        saved = self.checkpoints.latest()
        step = "none" if saved is None else f"that of step {saved.step:,}"
        reason = " ".join(error.message.split())[:300]
        return RuntimeError(
            f"train: all of the {self.num_workers} workers in TF_CONFIG must stay alive; one was "
            f"lost ({reason}); the last whole checkpoint is {step}; start all workers again with "
            "the same command to go on from it"
        )

    def _is_over(self) -> bool:
        return self.trainee.progress.epoch >= self.config.epochs or self.books.best.is_over

    def _restore(self) -> bool:
        checkpoint = self.checkpoints.latest()
        if checkpoint is None:
            return False
        self.checkpointer.restore(checkpoint)
        step = self.trainee.progress.num_steps
        self.log.info(f"train: going on from the checkpoint of step {step:,}", step=step)
        return True

    def _fit_on(self) -> None:
        progress = self.trainee.progress
        self.trainee.fit(
            self.training(start=(progress.epoch, progress.step)),
            initial_epoch=progress.epoch,
            epochs=self.config.epochs,
            steps_per_epoch=self.plan.train_steps,
            validation_data=self.validation(),
            validation_steps=self.plan.validation_steps,
            # In this order: what is noted is noted before it is saved.
            callbacks=[
                self.speed,
                *self.profilers,
                self.books.best,
                self.books.recorder,
                self.checkpointer,
            ],
            shuffle=False,  # the dataset has done it
            verbose=0,
        )

    def _roll_back(self, broken: BrokenLoss) -> None:
        progress, window = self.trainee.progress, broken.window
        again = progress.is_skipped(window)
        if again or len(progress.skipped) >= self.config.max_rollbacks:
            raise FloatingPointError(
                f"train: {broken}, in epoch {broken.epoch + 1}; {len(progress.skipped)} windows "
                "were left out before it (train.max_rollbacks). Lower train.learning_rate or "
                "train.clip_norm, raise train.warmup_share, or set hardware.precision to float32"
            ) from broken
        entry = (broken.epoch, window.start, window.stop, str(broken))
        progress.skipped.append(entry)
        self.log.warning(
            f"train: {broken}; batches {window.start:,} to {window.stop - 1:,} of epoch "
            f"{broken.epoch + 1} are left out, from the last checkpoint on",
            epoch=broken.epoch + 1,
            first_batch=window.start,
            num_batches=len(window),
        )
        self._restore()


def _sinks(
    config: Config, workdir: Path, lane: Lane, log: Log, run_id: str | None
) -> tuple[Sink, ...]:
    """Where the curves go; the chief alone tells MLflow."""
    board = TensorBoard(workdir / "tensorboard")
    if config.mlflow is None or lane.worker_index:
        return (board,)
    params = {name: value for name, value in asdict(config).items() if name != "mlflow"}
    params |= {"hardware": lane.description}
    return board, Mlflow(config.mlflow, params, run_id=run_id, log=log)


def _fitting(
    config: Config,
    shards: ShardSet,
    plan: Plan,
    trainee: Trainee,
    *,
    save: Callable[[Path], None],
    workdir: Path,
    checkpoints: Checkpoints,
    seed: int,
    lane: Lane,
    log: Log,
) -> _Fitting:
    reader: dict[str, Any] = {
        "folder": shards.uri,
        "lengths": plan.lengths,
        "rows": [rows // lane.num_workers for rows in plan.rows],
        "has_text_pair": shards.has_text_pair,
    }
    training = partial(
        dataset.training_batches,
        shards.split("train"),
        shuffle_rows=config.shuffle_rows,
        num_steps=plan.train_steps,
        epochs=config.epochs,
        seed=seed,
        **reader,
    )
    validation = partial(
        dataset.validation_batches,
        shards.split("validation"),
        num_steps=plan.validation_steps,
        **reader,
    )
    speed = Speedometer(trainee, tuple(zip(plan.rows, plan.lengths, strict=True)))
    recorder = Recorder(
        trainee,
        partial(_sinks, config, workdir, lane, log),
        num_steps=plan.total_steps,
        learning_rate=partial(schedule.learning_rate, **plan.rate),
        speed=speed,
        log=log,
    )
    best = callbacks.BestWeights(trainee, save, workdir, patience=config.early_stopping_patience)
    books = callbacks.Books(best=best, recorder=recorder)
    return _Fitting(
        config=config,
        plan=plan,
        trainee=trainee,
        books=books,
        speed=speed,
        profilers=(Profiler(trainee, speed, workdir / "tensorboard"),) if config.profile else (),
        checkpointer=callbacks.Checkpointer(
            trainee, checkpoints, books, every=config.checkpoint_every, log=log
        ),
        checkpoints=checkpoints,
        training=lambda start: lane.feed(lambda *share: training(start=start, share=share)),
        validation=lambda: lane.feed(lambda *share: validation(share=share)),
        repeated=lambda i: lane.feed(
            lambda *share: dataset.repeated_batch(training(share=share), plan.lengths[i])
        ),
        num_workers=lane.num_workers,
        log=log,
    )
