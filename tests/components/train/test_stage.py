"""A whole training on the CPU: what it leaves behind, and how it ends when it goes wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.components.train import toy
from tpuline.components.contracts import ShardSet, TrainedModel
from tpuline.components.modeling import BagSpec, BertSpec, build
from tpuline.components.stage import Context
from tpuline.components.train import stage
from tpuline.pipeline.hardware.config import HardwareConfig
from tpuline.pipeline.hardware.strategy import ConfiguredHardware

SMALL = BagSpec(embedding_dim=8, hidden_dim=8, dropout=0.0)


@dataclass
class Done:
    """A finished training."""

    shards: ShardSet
    workdir: Path
    log: toy.Memory
    trained: TrainedModel


def train(folder: Path, *, precision: Any = "float32", **fields: Any) -> Done:
    shards = toy.shard_set(folder / "shards")
    workdir = folder / "train"
    workdir.mkdir()
    log = toy.Memory()
    hardware = ConfiguredHardware(HardwareConfig(strategy="cpu", precision=precision))
    context = Context(workdir=workdir, data_dir=folder, seed=7, hardware=hardware, log=log)
    config = stage.Config(**({"model": SMALL, "global_batch_size": 8} | fields))
    return Done(shards, workdir, log, stage.run(config, stage.Inputs(shards=shards), context))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("done")
    return train(folder, learning_rate=0.03, epochs=6, buckets=(6, 10))


def test_training_learns(done: Done) -> None:
    history = done.trained.history
    assert history[-1].val_accuracy > 0.9
    assert history[-1].loss < history[0].loss / 2


def test_history_counts_epochs_and_steps(done: Done) -> None:
    steps = done.trained.num_steps // 6
    assert [(r.epoch, r.step) for r in done.trained.history] == [
        (e, e * steps) for e in range(1, 7)
    ]
    rates = [r.learning_rate for r in done.trained.history]
    assert rates == sorted(rates, reverse=True) and 0 < rates[-1] < 0.002


def test_best_weights_rebuild_a_model_of_the_recorded_validation_loss(done: Done) -> None:
    best = min(done.trained.history, key=lambda record: record.val_loss)
    assert (done.trained.best_val_loss, done.trained.best_step) == (best.val_loss, best.step)
    model = build(
        done.trained.model,
        vocabulary_size=done.shards.vocabulary_size,
        sequence_length=done.shards.sequence_length,
        num_labels=2,
        has_text_pair=False,
    )
    model.load_weights(done.workdir / done.trained.weights_file)
    losses, right = [], []
    for ids, label in toy.rows(21, seed=2):  # every row on its own: no padding, no weights
        features = {"token_ids": np.array([ids]), "padding_mask": np.ones((1, len(ids)), "int32")}
        logits = np.asarray(model(features))[0].astype("float64")
        losses.append(math.log(np.exp(logits).sum()) - logits[label])
        right.append(logits.argmax() == label)
    assert best.val_loss == pytest.approx(np.mean(losses), abs=1e-5)
    assert best.val_accuracy == pytest.approx(np.mean(right))


def test_folder_holds_weights_and_scalars_only(done: Done) -> None:
    names = {path.relative_to(done.workdir).parts[0] for path in done.workdir.rglob("*")}
    assert names == {"best.weights.h5", "tensorboard"}


def test_tensorboard_shows_every_epoch(done: Done) -> None:
    seen: dict[str, list[int]] = {}
    for file in (done.workdir / "tensorboard").iterdir():
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                seen.setdefault(value.tag, []).append(event.step)
    steps = [record.step for record in done.trained.history]
    for name in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
        assert seen[f"epoch/{name}"] == steps
    assert seen["epoch/examples_per_s"] == steps
    assert seen["step/mean_loss_of_epoch"] == list(range(1, done.trained.num_steps + 1))


def test_progress_ends_with_all_steps_done(done: Done) -> None:
    assert [note[1] for note in done.log.notes] == list(range(1, done.trained.num_steps + 1))
    task, completed, total, note = done.log.notes[-1]
    assert task == "train" and completed == total
    assert note.startswith("loss 0.") and note.endswith("examples/s")


def test_throughput_counts_real_rows_and_tokens(done: Done) -> None:
    split = done.shards.split("train")
    mean_tokens = split.num_tokens / split.num_examples
    assert done.trained.examples_per_s > 0
    assert done.trained.tokens_per_s / done.trained.examples_per_s == pytest.approx(
        mean_tokens, rel=0.1
    )


def test_speed_sums_over_replicas_and_leaves_the_first_step_of_a_width_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tpuline.components.train import callbacks

    clock = iter([0.0, 10.0, 12.0, 20.0])  # seconds: begin, then the end of each step
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: next(clock))
    speed = callbacks.Speedometer(2)
    speed.on_epoch_begin(0)
    for width in (32, 32, 64):  # the first and the last compile
        speed.on_train_batch_end(0, {"width": width, "examples": 8.0, "tokens": 100.0})
    assert speed.examples_per_s == 2 * 8.0 / 2.0
    assert speed.tokens_per_s == 2 * 100.0 / 2.0


def test_buckets_do_not_change_what_is_measured(done: Done, tmp_path: Path) -> None:
    still = {"learning_rate": 1e-30, "warmup_share": 0.0, "epochs": 1}
    (tmp_path / "wide").mkdir()
    (tmp_path / "narrow").mkdir()
    wide = train(tmp_path / "wide", **still).trained.history[0]
    narrow = train(tmp_path / "narrow", buckets=(4, 8, 12), **still).trained.history[0]
    assert (narrow.loss, narrow.val_loss) == pytest.approx((wide.loss, wide.val_loss), abs=1e-6)
    assert (narrow.accuracy, narrow.val_accuracy) == pytest.approx(
        (wide.accuracy, wide.val_accuracy)
    )


def test_training_stops_when_the_validation_loss_stays(tmp_path: Path) -> None:
    still = {"learning_rate": 1e-30, "epochs": 9}
    trained = train(tmp_path, early_stopping_patience=2, **still).trained
    assert len(trained.history) == 3
    assert trained.best_step == trained.history[0].step
    assert trained.num_steps == trained.history[-1].step


def test_no_patience_means_all_epochs(tmp_path: Path) -> None:
    trained = train(tmp_path, early_stopping_patience=None, learning_rate=1e-30, epochs=4).trained
    assert len(trained.history) == 4


def test_broken_loss_stops_at_once_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError) as caught:
        train(tmp_path, learning_rate=1e37, warmup_share=0.0)
    message = str(caught.value)
    assert "at step 2; there is no checkpoint yet" in message
    assert "Lower train.learning_rate" in message
    assert not (tmp_path / "train" / "best.weights.h5").exists()


def test_broken_loss_after_a_good_epoch_names_the_checkpoint(tmp_path: Path) -> None:
    from tpuline.components.train import callbacks, loop

    class Poison(callbacks.BestWeights):
        """Spoils the weights once the first epoch is safe on disk."""

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            super().on_epoch_end(epoch, logs)
            self._classifier.get_layer("logits").bias.assign([np.nan, 0.0])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.callbacks, "BestWeights", Poison)
        with pytest.raises(FloatingPointError, match=r"last good checkpoint is that of step 12, "):
            train(tmp_path, epochs=3)
    assert (tmp_path / "train" / "best.weights.h5").exists()


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_trains_and_keeps_float32_weights(tmp_path: Path, precision: str) -> None:
    made = train(tmp_path, precision=precision, learning_rate=0.03, epochs=3)
    assert made.trained.precision == precision
    assert made.trained.history[-1].loss < made.trained.history[0].loss
    model = build(SMALL, vocabulary_size=40, sequence_length=16, num_labels=2, has_text_pair=False)
    model.load_weights(made.workdir / made.trained.weights_file)
    assert {weight.dtype for weight in model.weights} == {"float32"}


def test_batch_of_few_real_rows_has_a_small_gradient() -> None:
    """A row weighs the same in the last batch of a bucket as in a full one."""
    from tpuline.components.train import loop

    config = stage.Config(model=SMALL, global_batch_size=8)
    plan = loop.Plan(
        lengths=(4,),
        train_steps=1,
        validation_steps=1,
        total_steps=1,
        rate={"peak": 0.1, "warmup_steps": 0, "total_steps": 1},
        padding_share=0.0,
    )
    model = build(SMALL, vocabulary_size=40, sequence_length=4, num_labels=2, has_text_pair=False)
    trainee = loop.compiled(model, config, plan)
    features = {"token_ids": tf.ones([8, 4], tf.int32), "padding_mask": tf.ones([8, 4], tf.int32)}
    labels = tf.zeros([8], tf.int32)
    logits = model(features)
    full, one = (
        trainee.compute_loss(
            y=labels, y_pred=logits, sample_weight=tf.sequence_mask(n, 8, dtype=tf.float32)
        )
        for n in (8, 1)
    )
    assert float(one) == pytest.approx(float(full) / 8)


def test_batch_that_does_not_divide_among_replicas_is_refused(tmp_path: Path) -> None:
    class Two:
        num_replicas = 2
        description = "2 x CPU"

        def start(self) -> Any:
            return self

    shards = toy.shard_set(tmp_path)
    context = Context(workdir=tmp_path, data_dir=tmp_path, seed=1, hardware=Two(), log=toy.Memory())
    with pytest.raises(ValueError, match=r"train\.global_batch_size: .* of 2.*; received 7; e\.g"):
        stage.run(stage.Config(global_batch_size=7), stage.Inputs(shards=shards), context)


def test_empty_split_is_refused(tmp_path: Path) -> None:
    shards = toy.shard_set(tmp_path, num_validation=0)
    hardware = ConfiguredHardware(HardwareConfig(strategy="cpu"))
    context = Context(
        workdir=tmp_path, data_dir=tmp_path, seed=1, hardware=hardware, log=toy.Memory()
    )
    with pytest.raises(ValueError, match="the validation split must hold rows"):
        stage.run(stage.Config(), stage.Inputs(shards=shards), context)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epochs": 0}, "epochs: must be at least 1; received 0"),
        ({"global_batch_size": 0}, "global_batch_size: must be at least 1"),
        ({"shuffle_rows": 0}, "shuffle_rows: must be at least 1"),
        ({"early_stopping_patience": 0}, "early_stopping_patience: .* null never stops early"),
        ({"learning_rate": 0.0}, "learning_rate: must be a positive number"),
        ({"clip_norm": math.inf}, "clip_norm: must be a positive number"),
        ({"warmup_share": 1.0}, r"warmup_share: must be in \[0, 1\); received 1.0"),
        ({"weight_decay": -0.1}, "weight_decay: must be in"),
        ({"buckets": (16, 16)}, r"buckets: must be positive and increasing; received \[16, 16\]"),
        ({"buckets": (0, 16)}, "buckets: must be positive"),
    ],
)
def test_config_refuses_what_cannot_be(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        stage.Config(**fields)


def test_missing_preset_folder_is_seen_before_the_run(tmp_path: Path) -> None:
    missing = stage.Config(model=BertSpec(preset=str(tmp_path / "none")))
    with pytest.raises(ValueError, match=r"train\.model\.preset: .* existing folder"):
        stage.check(missing, tmp_path)
    stage.check(stage.Config(model=BertSpec(preset="bert_small_en_uncased")), tmp_path)
    stage.check(stage.Config(model=BertSpec(preset=str(tmp_path))), tmp_path)


def test_preset_folder_is_known_by_content_not_by_path(tmp_path: Path) -> None:
    keys = []
    for name, content in (("a", "one"), ("b", "one"), ("c", "two")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(content)
        config = stage.Config(model=BertSpec(preset=str(folder)))
        keys.append(stage.identity(config, tmp_path))
    assert keys[0] == keys[1] != keys[2]
