"""The shipped demo, shrunk: every stage for real, seconds instead of minutes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tpuline.pipeline import api

SHRUNK = (
    "preprocess.source.max_rows_per_file=1500",
    "preprocess.vocabulary.size=800",
    "preprocess.sequence_length=48",
    "train.model={type: bag, embedding_dim: 128, hidden_dim: 32}",
    "train.epochs=5",
    "train.learning_rate=2e-2",
    "train.global_batch_size=32",
    "train.buckets=[]",
    "evaluate.latency.num_requests=20",
    "evaluate.latency.warmup_requests=2",
    "judge={min_gain_over_majority: 0.1}",
)


@dataclass(frozen=True)
class Shrunk:
    """The shrunk demo and the folder that it runs under."""

    config_file: Path
    root: Path

    def arguments(self, *extra: str, until: str | None = None) -> list[str]:
        """A command line; `extra` are overrides."""
        sets = [part for value in (*SHRUNK, *extra) for part in ("--set", value)]
        where = ["--root", str(self.root), *(("--until", until) if until else ())]
        tpuline = [sys.executable, "-m", "tpuline.pipeline.cli"]
        return [*tpuline, "run", str(self.config_file), *where, *sets]

    def run(self, *extra: str, until: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs it in a process of its own, as its user would."""
        return subprocess.run(
            self.arguments(*extra, until=until), capture_output=True, text=True, timeout=280
        )

    def load(self, *extra: str) -> api.RunConfig:
        """The same config in this process."""
        return api.load(self.config_file, [*SHRUNK, *extra])

    def start(self, *, until: str | None = None) -> subprocess.Popen[str]:
        """A run in a process group of its own, so that its children can be killed with it."""
        return subprocess.Popen(
            self.arguments(until=until),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def shrunk(tmp_path: Path, checkout: Path) -> Shrunk:
    """A shrunk demo with an empty root."""
    return Shrunk(config_file=checkout / "configs" / "demo.yaml", root=tmp_path / "runs")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Shrunk:
    """A shrunk demo that ran undisturbed to its end. Tests only add to its root."""
    demo = Shrunk(
        config_file=checkout / "configs" / "demo.yaml", root=tmp_path_factory.mktemp("e2e") / "runs"
    )
    done = demo.run()
    assert done.returncode == 0, done.stdout + done.stderr
    return demo
