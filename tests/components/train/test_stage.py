"""A whole training on the CPU: what it leaves behind, and how it ends when it goes wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import tensorflow as tf

from tests.components.training import toy
from tests.xla import needs_xla_for_cpus
from tpuline.components.contracts import ShardSet, TrainedModel
from tpuline.components.modeling import BagSpec, build
from tpuline.components.stage import Context, uncounted
from tpuline.components.train import stage
from tpuline.components.training import dataset, loop, plan
from tpuline.components.training.hosts import seen_by_all_hosts
from tpuline.components.training.trainee import Trainee
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


def train(
    folder: Path,
    *,
    precision: Any = "float32",
    callbacks: tuple[Any, ...] = (),
    log: toy.Memory | None = None,
    seed: int = 7,
    seconds_at_peak: Any = uncounted,
    **fields: Any,
) -> Done:
    shards = toy.shard_set(folder / "shards")
    workdir = folder / "train"
    workdir.mkdir(exist_ok=True)
    log = log or toy.Memory()
    hardware = ConfiguredHardware(HardwareConfig(strategy="cpu", precision=precision))
    context = Context(
        workdir=workdir,
        data_dir=folder,
        seed=seed,
        hardware=hardware,
        log=log,
        callbacks=callbacks,
        seconds_at_peak=seconds_at_peak,
    )
    config = stage.Config(**({"model": SMALL, "global_batch_size": 8} | fields))
    return Done(shards, workdir, log, stage.run(config, stage.Inputs(shards=shards), context))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("done")
    return train(folder, learning_rate=0.03, epochs=6, buckets=(6, 10), steps_per_call=5)


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
    assert seen["step/loss"] == windows(done)
    timed = [step for step in windows(done) if step in seen["step/tokens_per_s"]]
    assert seen["step/padding_share"] == seen["step/tokens_per_s"] == timed  # others compiled
    assert len(windows(done)) - 3 <= len(timed) < len(windows(done))
    assert seen["input/wait_share"] == steps[-1:]


def windows(done: Done) -> list[int]:
    """The steps after which the host looked: five a call, and the rest of the epoch."""
    per_epoch = done.trained.num_steps // 6
    ends = [*range(5, per_epoch, 5), per_epoch]
    return [epoch * per_epoch + end for epoch in range(6) for end in ends]


def test_progress_ends_with_all_steps_done(done: Done) -> None:
    assert [note[1] for note in done.log.notes] == windows(done)
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


def test_input_verdict_stands_with_what_was_trained(done: Done) -> None:
    verdict = done.trained.input
    assert verdict is not None
    assert verdict.bound == ("input" if verdict.wait_share > 0.1 else "step")
    assert verdict.examples_per_s_without_input > 0


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


def test_seed_may_be_0(tmp_path: Path) -> None:
    assert train(tmp_path, epochs=1, seed=0).trained.num_steps > 0


def test_no_patience_means_all_epochs(tmp_path: Path) -> None:
    trained = train(tmp_path, early_stopping_patience=None, learning_rate=1e-30, epochs=4).trained
    assert len(trained.history) == 4


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_trains_and_keeps_float32_weights(tmp_path: Path, precision: str) -> None:
    made = train(tmp_path, precision=precision, learning_rate=0.03, epochs=3)
    assert made.trained.precision == precision
    assert made.trained.history[-1].loss < made.trained.history[0].loss
    dtypes: set[str] = set()
    with h5py.File(made.workdir / made.trained.weights_file) as stored:
        stored.visititems(
            lambda _, item: dtypes.add(str(item.dtype)) if isinstance(item, h5py.Dataset) else None
        )
    assert dtypes == {"float32"}


def test_batch_of_few_real_rows_has_a_small_gradient() -> None:
    """A row weighs the same in the last batch of a bucket as in a full one."""
    full, one = (gradient(num_rows=n) for n in (8, 1))
    assert full == pytest.approx(8 * one, rel=1e-5) and full > 0


def test_gradients_of_parts_sum_to_that_of_the_batch() -> None:
    assert gradient(accumulate_steps=4) == pytest.approx(gradient(), rel=1e-5)


@needs_xla_for_cpus
def test_compiled_by_xla_the_gradient_is_the_same() -> None:
    assert gradient(xla=True) == pytest.approx(gradient(), rel=1e-5)


def test_profile_shows_steady_steps(tmp_path: Path) -> None:
    made = train(tmp_path, epochs=1, steps_per_call=3, profile=True)
    (trace,) = (made.workdir / "tensorboard").rglob("*.xplane.pb")
    assert trace.stat().st_size > 1000


@pytest.mark.parametrize(
    "fields",
    [{}, {"accumulate_steps": 4}, pytest.param({"xla": True}, marks=needs_xla_for_cpus)],
    ids=str,
)
@pytest.mark.parametrize("bucket", [0, 1])
def test_step_of_a_bucket_is_that_of_its_batch_alone(bucket: int, fields: dict[str, Any]) -> None:
    lengths, rows = (4, 8), (16, 8)
    ids = tf.random.stateless_uniform([rows[bucket], lengths[bucket]], [1, 2], 0, 40, tf.int32)
    weights = tf.sequence_mask(5, rows[bucket], dtype=tf.float32)
    batch = ({"token_ids": ids, "padding_mask": tf.ones_like(ids)}, ids[:, 0] % 2, weights)
    (padded,) = dataset.in_one_shape(
        tf.data.Dataset.from_tensors(batch), lengths=lengths, rows=rows
    )
    step = trainee(lengths, rows, **fields)
    found = tf.function(lambda: step._in_its_shape(step._compute, padded))()
    wanted = tf.function(lambda: step._compute(batch))()
    for ours, theirs in zip(tf.nest.flatten(found), tf.nest.flatten(wanted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    assert found[1][2:4].numpy().tolist() == [5, 5 * lengths[bucket]]  # rows and tokens


def gradient(*, num_rows: int = 8, **fields: Any) -> float:
    """Norm of the bias' gradient for a batch of 8 equal rows, the first `num_rows` of weight 1."""
    features = {"token_ids": tf.ones([8, 4], tf.int32), "padding_mask": tf.ones([8, 4], tf.int32)}
    weights = tf.sequence_mask(num_rows, 8, dtype=tf.float32)
    step = trainee((4,), (8,), **fields)
    gradients, _ = tf.function(step._compute)((features, tf.zeros([8], tf.int32), weights))
    return float(tf.norm(gradients[-1]))


def trainee(lengths: tuple[int, ...], rows: tuple[int, ...], **fields: Any) -> Trainee:
    """SMALL, always of the same weights, ready for batches of these shapes."""
    planned = plan.Plan(
        lengths=lengths,
        rows=rows,
        dealt_rows=rows,
        shape_rows=rows,
        train_steps=1,
        validation_steps=1,
        total_steps=1,
        steps_per_call=1,
        rate={"peak": 0.1, "warmup_steps": 0, "total_steps": 1},
        padding_share=0.0,
        padding_share_of_one_width=0.0,
    )
    tf.keras.utils.set_random_seed(1)
    model = build(SMALL, vocabulary_size=40, sequence_length=8, num_labels=2, has_text_pair=False)
    return loop.compiled(model, stage.Config(model=SMALL, **fields), planned)


def test_constant_tokens_give_short_rows_larger_batches(tmp_path: Path) -> None:
    made = train(tmp_path, epochs=1, buckets=3, constant_tokens=True)
    trained = made.trained
    assert trained.batch_widths == (8, 16)  # no third multiple of 8 is needed
    assert trained.batch_rows == (16, 8)
    assert trained.padding_share < trained.padding_share_of_one_width
    assert trained.num_steps < len(toy.rows(90, seed=1)) / 8


@pytest.mark.parametrize(("factor", "warns"), [(1, False), (2, True)])
def test_hosts_that_would_wait_for_others_are_warned_of(
    tmp_path: Path, factor: int, warns: bool
) -> None:
    shards, log = toy.shard_set(tmp_path), toy.Memory()
    config = stage.Config(model=SMALL, global_batch_size=8)
    planned = plan.make_plan(config, shards, num_replicas=2)
    dealt = replace(planned, train_steps=factor * planned.train_steps)
    lane: Any = SimpleNamespace(num_hosts=2, num_replicas=2, strategy_name="cpu")
    loop._warn_of_idle_hosts(config, dealt, shards, lane, log)
    assert any("raise preprocess.num_shards" in message for message, _ in log.infos) == warns


def test_hosts_that_one_process_leads_read_where_all_of_them_can(tmp_path: Path) -> None:
    """As on a TPU slice of two hosts; what they are fed is tested in `test_replicas`."""
    shards = toy.shard_set(tmp_path)
    lane: Any = SimpleNamespace(num_hosts=2, num_workers=1, description="16 x TPU core on 2 hosts")
    cpu = ConfiguredHardware(HardwareConfig(strategy="cpu"))
    known: dict[str, Any] = {"workdir": tmp_path, "data_dir": tmp_path, "seed": 1, "hardware": cpu}
    bucket = {shards.uri: "gs://bucket/runs/preprocess/key"}
    there = Context(**known, log=toy.Memory(), places=bucket)
    assert seen_by_all_hosts(shards, lane, there).uri == bucket[shards.uri]
    here = Context(**known, log=toy.Memory(), places={shards.uri: str(tmp_path)})
    with pytest.raises(ValueError, match=r"--root: must be in a bucket for 16 x TPU.*received /"):
        seen_by_all_hosts(shards, lane, here)
    lane.num_workers = 2  # two processes, each with its own
    assert seen_by_all_hosts(shards, lane, there) is shards


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
