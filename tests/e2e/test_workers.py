"""Two real processes that train together on loopback, under TF_CONFIG."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tpuline.components.contracts import TrainedModel
from tpuline.pipeline import api, store

from .conftest import SHRUNK, Shrunk

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]  # four processes, two at a time
ALONE = "hardware.replicas=null"  # each worker is one replica
LONG = ("train.epochs=8", "train.early_stopping_patience=null", "train.checkpoint_every=10")


def start(demo: Shrunk, command: list[str] | None = None) -> list[subprocess.Popen[str]]:
    """Both workers of one run; their output goes to files beside the root."""
    command = command or demo.arguments(ALONE, *LONG, until="train")
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for free in sockets:
            free.bind(("localhost", 0))
        addresses = [f"localhost:{free.getsockname()[1]}" for free in sockets]
    workers = []
    for index in range(2):
        place = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        with output(demo, index).open("w") as file:
            workers.append(
                subprocess.Popen(
                    command,
                    env=os.environ | {"TF_CONFIG": json.dumps(place)},
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
    return workers


def output(demo: Shrunk, index: int) -> Path:
    return demo.root.with_name(f"worker-{index}.log")


def ended(workers: list[subprocess.Popen[str]]) -> list[int]:
    try:
        return [worker.wait(timeout=240) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def training(demo: Shrunk) -> list[subprocess.Popen[str]]:
    """Both workers, once they have trained up to a checkpoint."""
    demo.root.parent.mkdir(exist_ok=True)
    workers = start(demo)
    deadline = time.monotonic() + 240
    while not list(demo.root.glob("train/*.unfinished/*.step-[1-9]*/checkpoint.json")):
        assert workers[0].poll() is None, output(demo, 0).read_text()
        assert time.monotonic() < deadline, output(demo, 0).read_text()
        time.sleep(0.05)
    return workers


@pytest.mark.parametrize("lost", [0, 1])  # 0 is the chief
def test_lost_worker_ends_the_run_and_all_go_on_from_the_checkpoint(
    shrunk: Shrunk, lost: int
) -> None:
    workers = training(shrunk)
    left = 1 - lost
    workers[lost].send_signal(signal.SIGKILL)
    codes = ended(workers)
    assert (codes[lost], codes[left]) == (-signal.SIGKILL, 1), output(shrunk, left).read_text()
    said = output(shrunk, left).read_text()
    assert "all of the 2 workers in TF_CONFIG must stay alive; one was lost" in said
    assert "last whole checkpoint is that of step" in said
    assert not list(shrunk.root.glob(f"train/*/{store.MANIFEST}"))

    assert ended(start(shrunk)) == [0, 0], output(shrunk, 0).read_text()
    assert "going on from the checkpoint" in output(shrunk, 1).read_text()
    (folder,) = (path.parent for path in shrunk.root.glob(f"train/*/{store.MANIFEST}"))
    trained = api.open_artifact(folder)
    assert isinstance(trained, TrainedModel)
    assert (trained.num_replicas, trained.num_resumed) == (2, 1)
    assert trained.history[-1].loss < trained.history[0].loss / 2
    assert not list(shrunk.root.glob("train/*.unfinished"))
    # Worker 1 leaves its events and nothing else.
    assert {path.name for path in (shrunk.root / "demo").iterdir()} == {
        "events.jsonl",
        "events-worker-1.jsonl",
        "report.html",
        "report.json",
    }


@pytest.mark.slow
def test_worker_told_to_stop_stops_all_at_one_step_and_all_go_on_from_it(shrunk: Shrunk) -> None:
    workers = training(shrunk)
    workers[1].send_signal(signal.SIGTERM)
    assert ended(workers) == [128 + signal.SIGTERM] * 2, output(shrunk, 0).read_text()
    steps = {
        re.findall(r"checkpoint of step (\d+)", output(shrunk, i).read_text())[-1] for i in (0, 1)
    }
    assert len(steps) == 1
    assert ended(start(shrunk)) == [0, 0], output(shrunk, 0).read_text()
    for index in (0, 1):
        assert (
            f"going on from the checkpoint of step {min(steps)}"
            in output(shrunk, index).read_text()
        )


@pytest.mark.parametrize("text", ['{"cluster": ', '{"cluster": {"worker": ["a:1", "b:2"]}, "task": '
                                  '{"type": "worker", "index": 2}}'])  # fmt: skip
def test_tf_config_that_cannot_be_is_refused_before_anything_runs(
    shrunk: Shrunk, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(api.ConfigError, match="TF_CONFIG: must be JSON with cluster"):
        api.run(shrunk.load(ALONE), root=shrunk.root)


OWN = """
import json, os, sys
import keras
from tpuline.pipeline import api

index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]

class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if index == 1:  # this worker alone
            self.model.stop_training = True

config_file, root, *overrides = sys.argv[1:]
result = api.run(api.load(config_file, overrides), root=root, until="train", callbacks=[Stop()])
assert result.status == "partial", result.error
"""


def test_callback_of_one_worker_ends_the_training_of_all_with_the_epoch(shrunk: Shrunk) -> None:
    shrunk.root.parent.mkdir(exist_ok=True)
    program = [sys.executable, "-c", OWN, str(shrunk.config_file), str(shrunk.root)]
    workers = start(shrunk, [*program, *SHRUNK, ALONE, *LONG])
    assert ended(workers) == [0, 0], [output(shrunk, index).read_text() for index in range(2)]
    (folder,) = (path.parent for path in shrunk.root.glob(f"train/*/{store.MANIFEST}"))
    trained = api.open_artifact(folder)
    assert isinstance(trained, TrainedModel) and len(trained.history) == 1
