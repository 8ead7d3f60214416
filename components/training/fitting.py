"""`fit` to its end: taken up after an interruption, and again after a loss that broke."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from ..contracts import InputVerdict, ShardSet
from ..stage import Lane, Log
from . import callbacks, dataset, schedule
from .checkpoint import Checkpoints
from .checkpointer import Checkpointer
from .config import Config
from .lesson import Masks
from .plan import Plan
from .progress import BrokenLoss
from .recorder import Recorder
from .sinks import Mlflow, Sink, TensorBoard
from .speed import Alone, Profiler, Speedometer, judge_input
from .trainee import Trainee

_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


@dataclass(kw_only=True)
class Fitting:
    """`fit`, taken up again after an interruption and after a loss that broke."""

    config: Config
    plan: Plan
    trainee: Trainee
    books: callbacks.Books
    speed: Speedometer
    profilers: tuple[Profiler, ...]
    user_callbacks: tuple[keras.callbacks.Callback, ...]
    checkpointer: Checkpointer
    checkpoints: Checkpoints
    training: Callable[..., Any]  # start=(epoch, step) -> what `fit` takes
    validation: Callable[[], Any]
    repeated: Callable[[int], Any]
    alone: Callable[[], Alone] | None
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
            self.checkpointer.close()  # what follows is short, and may be ended anywhere
            verdict = self._judge_input()
            finished = True
        finally:
            for profiler in self.profilers:
                profiler.close()
            self.books.recorder.close(finished=finished)
            self.checkpointer.close()
        return verdict

    def _judge_input(self) -> InputVerdict | None:
        if self.num_workers > 1:  # each would find another number of steps to be enough
            return None
        try:
            verdict = judge_input(self.trainee, self.speed, self.repeated, self.alone)
        except tf.errors.OpError as error:  # what was trained is good all the same
            self.log.warning(f"train: whether the input set the pace could not be told ({error})")
            return None
        if verdict is not None:
            self.books.recorder.judged(verdict)
        return verdict

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
        progress = self.trainee.progress
        return progress.is_over or progress.epoch >= self.config.epochs

    def _restore(self) -> bool:
        checkpoint = self.checkpoints.latest()
        if self.num_workers > 1 and not self.trainee.agree_on(
            checkpoint.step if checkpoint else -1
        ):
            raise RuntimeError(
                "train: all workers must go on from one checkpoint; received another step here, "
                f"{checkpoint.step if checkpoint else 'none'}; give all the same --root and start "
                "them again"
            )
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
                *([self.books.averaged] if self.books.averaged else []),
                self.books.recorder,
                *self.user_callbacks,
                *([callbacks.StoppingTogether(self.trainee)] if self.num_workers > 1 else []),
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
        if not self._restore():
            raise FloatingPointError(
                f"train: {broken}; the checkpoint to go back to is gone; run the same command again"
            ) from broken


def _sinks(
    config: Config, workdir: Path, lane: Lane, log: Log, run_id: str | None
) -> tuple[Sink, ...]:
    """Where the curves go; the chief alone tells MLflow."""
    board = TensorBoard(workdir / "tensorboard")
    if config.mlflow is None or lane.worker_index:
        return (board,)
    params = {name: value for name, value in asdict(config).items() if name != "mlflow"}
    params |= {"hardware": lane.description, "learning_rate": config.peak_learning_rate}
    return board, Mlflow(config.mlflow, params, run_id=run_id, log=log)


def fitting(
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
    masks: Masks | None = None,
    user_callbacks: tuple[keras.callbacks.Callback, ...],
) -> Fitting:
    """Everything that `Fitting` needs, put together for a training that has not begun."""
    training, validation = _readers(config, shards, plan, seed, lane)

    def repeated(i: int, **settings: Any) -> Any:
        return dataset.repeated_batch(training(**settings), plan.lengths[i])

    books = _books(config, plan, trainee, masks, lane, log, save=save, workdir=workdir)
    masking = () if masks is None else (callbacks.Masking(trainee, masks),)
    return Fitting(
        config=config,
        plan=plan,
        trainee=trainee,
        books=books,
        speed=books.speed,
        profilers=(Profiler(trainee, books.speed, workdir / "tensorboard"),)
        if config.profile
        else (),
        checkpointer=Checkpointer(
            trainee,
            checkpoints,
            books,
            plan={
                "lengths": list(plan.lengths),
                "rows": list(plan.rows),
                "train_steps": plan.train_steps,
                "num_hosts": lane.num_hosts,
            },
            hardware=_in_words(lane),
            every=config.checkpoint_every,
            log=log,
        ),
        checkpoints=checkpoints,
        training=partial(_fed, lane, plan, training),
        validation=partial(_fed, lane, plan, validation),
        repeated=lambda i: _fed(lane, plan, partial(repeated, i)),
        # Beside steps on the same cores nothing is as fast as alone.
        alone=None
        if lane.num_hosts > 1 or lane.strategy_name == "cpu"
        else lambda: Alone(
            records=dataset.records(shards.split("train"), shards.uri), batches=training()
        ),
        num_workers=lane.num_workers,
        user_callbacks=(*masking, *user_callbacks),
        log=log,
    )


def _in_words(lane: Lane) -> str:
    """The devices of all workers together."""
    return f"{lane.num_replicas} x {lane.accelerator or lane.strategy_name}, {lane.precision}"


def _books(
    config: Config,
    plan: Plan,
    trainee: Trainee,
    masks: Masks | None,
    lane: Lane,
    log: Log,
    *,
    save: Callable[[Path], None],
    workdir: Path,
) -> callbacks.Books:
    speed = Speedometer(trainee, len(plan.lengths))
    recorder = Recorder(
        trainee,
        partial(_sinks, config, workdir, lane, log),
        num_steps=plan.total_steps,
        learning_rate=partial(schedule.learning_rate, **plan.rate),
        speed=speed,
        log=log,
    )
    best = callbacks.BestWeights(
        trainee,
        save,
        workdir,
        by=config.best_by,
        patience=config.early_stopping_patience,
        from_step=0 if masks is None else masks.final_step,
    )
    averaged = None if config.ema_decay is None else callbacks.Averaged(trainee)
    return callbacks.Books(best=best, recorder=recorder, speed=speed, averaged=averaged)


def _fed(lane: Lane, plan: Plan, make: Callable[..., Any], **settings: Any) -> Any:
    """What `fit` takes: the batches that `make` makes for each worker, in one shape."""

    def of_a_worker(*share: int) -> Any:
        return dataset.in_one_shape(
            make(share=share, **settings),
            lengths=plan.lengths,
            rows=[rows // lane.num_hosts for rows in plan.shape_rows],
            num_parts=lane.num_replicas // lane.num_hosts,
        )

    return lane.feed(of_a_worker)


def _readers(
    config: Config, shards: ShardSet, plan: Plan, seed: int, lane: Lane
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Makers of datasets of training and validation; `share` and `start` are left to say."""
    reader: dict[str, Any] = {
        "folder": shards.uri,
        "lengths": plan.lengths,
        "rows": [rows // lane.num_hosts for rows in plan.rows],
        "shape_rows": [rows // lane.num_hosts for rows in plan.shape_rows],
        "has_text_pair": shards.has_text_pair,
        "label_width": shards.label_width,
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
    return training, validation
