"""Interrupted and taken up again: the same weights, bit by bit, and the same curves."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.components.train.test_stage import train as train_toy
from tests.components.training import toy
from tests.components.training.resume_child import TRAININGS, spoiling, train
from tpuline.components.training import dataset, fitting, trainee
from tpuline.components.training.checkpoint import Checkpoints
from tpuline.pipeline.hardware.config import HardwareConfig
from tpuline.pipeline.hardware.strategy import ConfiguredHardware

CHECKOUT = Path(__file__).resolve().parents[3]
STEPS_AN_EPOCH = 12


def child(folder: Path, replicas: int, **wanted: Any) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    asked = {"folder": str(folder), "replicas": replicas} | wanted
    return subprocess.run(
        [sys.executable, "-m", "tests.components.training.resume_child", json.dumps(asked)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=800,
    )


def facts(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def curves(trained: dict[str, Any]) -> list[list[float]]:
    names = ("epoch", "step", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
    return [[epoch[name] for name in names] for epoch in trained["history"]]


@pytest.mark.long
@pytest.mark.timeout(900)  # four processes, each of which imports TensorFlow
@pytest.mark.parametrize("model", ["bag", pytest.param("bert", marks=pytest.mark.slow)])
@pytest.mark.parametrize("replicas", [1, 2])
def test_killed_at_any_step_ends_as_if_undisturbed(
    tmp_path: Path, replicas: int, model: str
) -> None:
    at_step = random.randrange(1, STEPS_AN_EPOCH)
    killed = child(tmp_path / "a", replicas, model=model, at_step=at_step, signum=signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    later = random.randrange(STEPS_AN_EPOCH + 1, 2 * STEPS_AN_EPOCH)
    stopped = child(tmp_path / "a", replicas, model=model, at_step=later, signum=signal.SIGTERM)
    assert stopped.returncode == 128 + signal.SIGTERM, stopped.stderr
    ours = facts(child(tmp_path / "a", replicas, model=model))
    if replicas == 1:
        precision: Any = TRAININGS[model][0]
        hardware = ConfiguredHardware(HardwareConfig(strategy="cpu", precision=precision))
        whole = train(tmp_path / "b", model=model, hardware=hardware, log=toy.Memory())
    else:
        whole = facts(child(tmp_path / "b", replicas, model=model))
    assert ours["sha256"] == whole["sha256"], f"killed at {at_step}, stopped at {later}"
    assert curves(ours) == curves(json.loads(json.dumps(whole)))
    assert ours["num_resumed"] == 2 and whole["num_resumed"] == 0
    # SIGTERM saved what was done: at most the window on its way came after it.
    ends = {f"train: going on from the checkpoint of step {step}" for step in (later, later + 1)}
    assert ends & set(ours["said"])


def save(checkpoints: Checkpoints, step: int) -> None:
    checkpoints.save(step, facts={"n": step}, arrays={"x": np.full(3, step)}, best=None)


def test_last_checkpoints_are_kept(tmp_path: Path) -> None:
    kept = Checkpoints(str(tmp_path), keep=2, identity="i", log=toy.Memory())
    assert kept.latest() is None
    for step in (2, 10, 30):
        save(kept, step)
    assert {path.name for path in tmp_path.iterdir()} == {"000001.step-10", "000002.step-30"}
    newest = kept.latest()
    assert newest is not None and newest.step == 30 and newest.facts == {"n": 30}
    np.testing.assert_array_equal(newest.arrays()["x"], [30, 30, 30])


@pytest.mark.parametrize("file", ["state.npz", "checkpoint.json"])
@pytest.mark.parametrize("harm", ["cut", "gone", "changed"])
def test_torn_checkpoint_is_passed_over_for_the_one_before(
    tmp_path: Path, file: str, harm: str
) -> None:
    log = toy.Memory()
    kept = Checkpoints(str(tmp_path), keep=2, identity="i", log=log)
    save(kept, 1)
    save(kept, 2)
    path = tmp_path / "000001.step-2" / file
    content = path.read_bytes()
    path.unlink()
    if harm != "gone":
        path.write_bytes(content[:-9] if harm == "cut" else content[:-9] + b"123456789")
    newest = kept.latest()
    assert newest is not None and newest.step == 1
    assert "torn and was passed over: " in log.infos[-1][0]
    # The torn one does not push out those that are whole, and goes away.
    save(kept, 3)
    assert {path.name for path in tmp_path.iterdir()} == {"000000.step-1", "000002.step-3"}
    newest = kept.latest()
    assert newest is not None and newest.step == 3


def test_save_that_was_killed_pushes_out_no_whole_checkpoint(tmp_path: Path) -> None:
    kept = Checkpoints(str(tmp_path), keep=2, identity="i", log=toy.Memory())
    save(kept, 1)
    save(kept, 2)
    (tmp_path / "000001.step-2" / "checkpoint.json").unlink()
    save(Checkpoints(str(tmp_path), keep=2, identity="i", log=toy.Memory()), 3)
    assert {path.name for path in tmp_path.iterdir()} == {"000000.step-1", "000002.step-3"}


def test_training_that_begins_anew_for_want_of_a_whole_checkpoint_says_so(tmp_path: Path) -> None:
    log = toy.Memory()
    kept = Checkpoints(str(tmp_path), keep=2, identity="i", log=log)
    save(kept, 1)
    (tmp_path / "000000.step-1" / "checkpoint.json").unlink()
    assert kept.latest() is None
    assert "is whole; training begins anew" in log.infos[-1][0]


def test_checkpoint_of_another_config_is_refused(tmp_path: Path) -> None:
    save(Checkpoints(str(tmp_path), keep=2, identity="i", log=toy.Memory()), 1)
    with pytest.raises(ValueError, match=r"this very config, seed and data; received .*remove"):
        Checkpoints(str(tmp_path), keep=2, identity="j", log=toy.Memory()).latest()


def test_checkpoint_of_another_version_is_refused(tmp_path: Path) -> None:
    kept = Checkpoints(str(tmp_path), keep=2, identity="i", log=toy.Memory())
    save(kept, 1)
    (state,) = tmp_path.glob("*/checkpoint.json")
    state.write_text(json.dumps(json.loads(state.read_text()) | {"format": 1}))
    with pytest.raises(ValueError, match=r"of format 1, which another version of tpuline wrote"):
        kept.latest()


def test_disk_that_is_full_keeps_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Checkpoints(str(tmp_path), keep=2, identity="i", log=toy.Memory())
    save(kept, 1)

    def full(file: Any, **arrays: Any) -> None:
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with pytest.raises(OSError, match=r"step 2 could not .*No space left.*step-1 is kept"):
            save(kept, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["000000.step-1"]
    newest = kept.latest()
    assert newest is not None and newest.step == 1


def poison(monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
    monkeypatch.setattr(fitting, "Speedometer", spoiling(*steps))


@pytest.mark.slow
def test_broken_loss_goes_back_on_two_replicas_as_on_one(tmp_path: Path) -> None:
    one, two = (facts(child(tmp_path / str(n), n, model="bag", spoilt_after=[5])) for n in (1, 2))
    assert [len(trained["rollbacks"]) for trained in (one, two)] == [1, 1]
    assert one["rollbacks"] == two["rollbacks"]
    assert one["num_steps"] == two["num_steps"]
    assert all(np.isfinite(epoch["loss"]) for epoch in two["history"])


@pytest.mark.parametrize("checkpoint_every", [4, 100])  # broken weights come to be saved, or not
def test_broken_loss_goes_back_and_leaves_the_window_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint_every: int
) -> None:
    poison(monkeypatch, 6, 16)
    made = train_toy(
        tmp_path, epochs=2, steps_per_call=2, checkpoint_every=checkpoint_every, learning_rate=0.03
    )
    trained = made.trained
    assert [rollback.epoch for rollback in trained.rollbacks] == [1, 2]
    assert all(rollback.num_batches == 2 for rollback in trained.rollbacks)
    assert trained.num_steps == 2 * STEPS_AN_EPOCH - 4
    assert all(np.isfinite(record.loss) for record in trained.history)
    assert sum("are left out" in message for message, _ in made.log.infos) == 2


def test_loss_that_breaks_again_and_again_fails_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError) as caught:
        train_toy(tmp_path, learning_rate=1e37, warmup_share=0.0, max_rollbacks=1)
    message = str(caught.value)
    assert "must be finite; received" in message
    assert "1 windows were left out before it (train.max_rollbacks). Lower train.lear" in message
    assert not (tmp_path / "train" / "best.weights.h5").exists()


def test_batch_that_breaks_the_gradient_is_the_one_that_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its loss is fine: only the update would break the weights."""
    whole = trainee.Trainee._gradients
    import tensorflow as tf

    def broken(self: trainee.Trainee, data: trainee.Batch) -> Any:
        gradients, sums = whole(self, data)
        step = tf.cast(self.optimizer.iterations, tf.float32)
        # The last batch of the third window.
        marked = tf.reduce_all(tf.equal(self.marked, data[0]["token_ids"][0]))
        poison = tf.where(marked, np.nan, 0.0) + 0.0 * step
        return [gradient + poison for gradient in gradients], sums

    first = first_rows(tmp_path)
    monkeypatch.setattr(trainee.Trainee, "marked", first[5], raising=False)
    monkeypatch.setattr(trainee.Trainee, "_gradients", broken)
    made = train_toy(tmp_path, epochs=1, steps_per_call=2, checkpoint_every=2)
    (rollback,) = made.trained.rollbacks
    assert (rollback.first_batch, rollback.num_batches) == (4, 2)
    assert "the gradient must be finite" in rollback.reason
    assert made.trained.num_steps == STEPS_AN_EPOCH - 2
    assert all(np.isfinite(record.val_loss) for record in made.trained.history)


def first_rows(folder: Path) -> list[np.ndarray]:
    """The first row of each batch of the epoch that `train_toy` starts with."""
    shards = toy.shard_set(folder / "shards")
    keras.utils.set_random_seed(7)
    batches = dataset.training_batches(
        shards.split("train"),
        shards.uri,
        lengths=(toy.SEQUENCE_LENGTH,),
        rows=(8,),
        shape_rows=(8,),
        has_text_pair=False,
        shuffle_rows=20_000,
        num_steps=STEPS_AN_EPOCH,
        epochs=1,
        seed=7,
    )
    return [features["token_ids"][0] for features, _, _ in batches.as_numpy_iterator()]


def test_sigterm_belongs_to_others_again_after_a_rollback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, 6)
    before = signal.getsignal(signal.SIGTERM)
    train_toy(tmp_path, epochs=1, steps_per_call=2)
    assert signal.getsignal(signal.SIGTERM) is before


def test_other_batches_are_refused_by_a_checkpoint(tmp_path: Path) -> None:
    """The place in the data would be another row's."""
    log = toy.Memory()
    log.progress = _stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path, log=log)
    state = next((tmp_path / "train.unfinished").glob("*/checkpoint.json"))
    told = json.loads(state.read_text())
    told["facts"]["plan"]["num_hosts"] = 2
    state.write_text(json.dumps(told))
    with pytest.raises(ValueError, match="of the same batches and hosts"):
        train_toy(tmp_path)


def test_training_that_was_over_when_it_was_killed_is_only_brought_home(tmp_path: Path) -> None:
    made = train_toy(tmp_path, epochs=2)
    (tmp_path / "train" / "best.weights.h5").unlink()
    again = train_toy(tmp_path, epochs=2)  # as after a kill before the manifest
    assert again.trained.history == made.trained.history
    assert again.trained.num_resumed == 1 and again.trained.input is not None
    assert (tmp_path / "train" / "best.weights.h5").exists()


def _stop(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_own_callbacks_of_keras_see_windows_and_epochs(tmp_path: Path) -> None:
    seen: list[tuple[int, float]] = []
    own = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append((batch, logs["loss"]))
    )
    csv = keras.callbacks.CSVLogger(str(tmp_path / "epochs.csv"))
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=1, min_delta=100.0)
    made = train_toy(tmp_path, callbacks=(own, csv, stop), epochs=9, steps_per_call=5)
    assert len(made.trained.history) == 2  # the second was not better by 100
    assert [batch for batch, _ in seen] == [4, 9, 14] * 2
    header, *rows = (tmp_path / "epochs.csv").read_text().splitlines()
    assert header == "epoch,accuracy,loss,val_accuracy,val_loss" and len(rows) == 2
    assert float(rows[1].split(",")[4]) == pytest.approx(made.trained.history[1].val_loss)
