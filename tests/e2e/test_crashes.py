"""Killed, or failed: nothing half-done is taken for done, and work goes on."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from tpuline.components.contracts import EvalReport, Judgement, Servable, ShardSet, TrainedModel
from tpuline.pipeline import api, store

from .conftest import Shrunk

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]  # up to five runs, four of them killed

HALF_DONE = {
    # What a stage leaves on disk while it is still at work.
    "preprocess": "*/scratch/*",
    "train": "*/best.weights.h5",
    "export": "*/classifier/*/saved_model.pb",
    "evaluate": "*/",
}


def kill_in(demo: Shrunk, stage: str) -> None:
    """Starts a run and kills it in the middle of `stage`."""
    process = demo.start()
    deadline = time.monotonic() + 120
    while not any((demo.root / stage).glob(HALF_DONE[stage])):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"{stage} never began"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not list((demo.root / stage).glob(f"*/{store.MANIFEST}")), "killed too late"


def artifacts(demo: Shrunk) -> dict[type, object]:
    """The artifacts of the shrunk demo by type; other tests may have added theirs to its root."""
    shelf = store.Store(demo.root)
    steps = api.plan(demo.load(), root=demo.root)
    records = [api.open_artifact(shelf.folder(step.stage, step.key)) for step in steps]
    return {type(record): record for record in records}


@pytest.mark.parametrize(
    "killed", [("preprocess", "train"), pytest.param(tuple(HALF_DONE), marks=pytest.mark.slow)]
)
def test_run_killed_in_its_stages_ends_as_if_undisturbed(
    killed: tuple[str, ...], shrunk: Shrunk, finished: Shrunk
) -> None:
    for stage in killed:
        kill_in(shrunk, stage)
    done = shrunk.run()
    assert done.returncode == 0, done.stdout + done.stderr
    stages = api.read_report(shrunk.root / "demo")["stages"]
    num_whole = [stage["name"] for stage in stages].index(killed[-1])
    assert [stage["reused"] for stage in stages] == [n < num_whole for n in range(len(stages))]

    ours, whole = artifacts(shrunk), artifacts(finished)
    assert ours[ShardSet].splits == whole[ShardSet].splits  # sha256 of every shard among them
    trained = [a[TrainedModel] for a in (ours, whole)]
    assert losses(trained[0]) == losses(trained[1])
    assert weights_sha256(trained[0]) == weights_sha256(trained[1])
    assert trained[0].num_resumed > 0
    assert ours[Servable].parity == whole[Servable].parity
    assert answers(ours[Servable]) == answers(whole[Servable])
    for field in ("accuracy", "macro_f1", "confusion_matrix", "mistakes"):
        assert getattr(ours[EvalReport], field) == getattr(whole[EvalReport], field)
    assert ours[Judgement].verdict == whole[Judgement].verdict


def losses(trained: TrainedModel) -> list[tuple[float, ...]]:
    """The curves of a training."""
    return [(e.loss, e.accuracy, e.val_loss, e.val_accuracy) for e in trained.history]


def weights_sha256(trained: TrainedModel) -> str:
    """Of the weights file: to compare the bytes themselves would take pytest minutes to explain."""
    content = (Path(trained.uri) / trained.weights_file).read_bytes()
    return hashlib.sha256(content).hexdigest()


def answers(servable: Servable) -> bytes:
    """Probabilities of a few texts, bit by bit."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  registers the tokenizer's ops

    served = tf.saved_model.load(str(Path(servable.uri) / servable.saved_model_dir))
    texts = tf.constant(["where is my parcel", "I want my money back", ""])
    out = served.signatures["serving_default"](text=texts)["probabilities"]
    return np.asarray(out).tobytes()


def test_failing_stage_exits_with_1_and_keeps_what_was_done(finished: Shrunk) -> None:
    broken = ("train.learning_rate=1e30", "train.clip_norm=1e30", "train.max_rollbacks=0")
    done = finished.run("name=broken", *broken)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "train failed" in done.stderr
    facts = api.read_report(finished.root / "broken")
    assert facts["status"] == "failed"
    assert "train failed" in facts["error"]
    assert [stage["name"] for stage in facts["stages"]] == ["preprocess", "train"]
    assert facts["stages"][0]["reused"] is True


def test_root_that_cannot_be_written_exits_with_2(shrunk: Shrunk) -> None:
    unwritable = Shrunk(config_file=shrunk.config_file, root=Path("/proc/tpuline"))
    done = unwritable.run()
    assert done.returncode == 2
    assert "--root" in done.stderr
    assert "Traceback" not in done.stderr
