"""The same rows give the same shards, whoever makes them: runner, workers, files, environment."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tpuline.components.preprocess import stage
from tpuline.components.preprocess.leakage import Leakage
from tpuline.components.preprocess.vocabulary.config import Vocabulary
from tpuline.components.reading.source import Source
from tpuline.components.running.config import Portable

from .stage_runs import config, preprocess

TWEETS: dict[str, Any] = {
    "source": Source(train="train*.jsonl", test="test*.jsonl", label_names=("neg", "neu", "pos")),
    "cut": stage.Cut(validation=0.1, test=0.0),
    "vocabulary": Vocabulary(size=4000),
    "sequence_length": 64,
    "num_shards": 4,
}
IMDB: dict[str, Any] = {
    "source": Source(train="train*.csv.gz", test="test*.csv.gz"),
    "cut": stage.Cut(validation=0.1, test=0.0),
    "sequence_length": 256,
    "leakage": Leakage(columns="off"),  # the ids of IMDB tell the label: a warning
}


def digests(folder: Path) -> dict[str, str]:
    """sha256 of everything an artifact holds, but for the rejects, which name their files."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("rejects.jsonl", "statistics.json")
    }


def made(data: Path, out: Path, fields: dict[str, Any], **changes: Any) -> dict[str, str]:
    preprocess(data, out, config(**fields | changes))
    return digests(out)


def split_up(source: Path, target: Path, num_files: int) -> None:
    """The rows of a JSON-lines or CSV file in another order, dealt out to files."""
    lines: list[str] = []
    opened = gzip.open if source.suffix == ".gz" else open
    with opened(source, "rt", encoding="utf-8", newline="") as file:
        if ".csv" in source.suffixes:
            header, *rows = csv.reader(file)
            for number in range(num_files):
                name = target / f"{source.name.split('.')[0]}{number}.csv.gz"
                with gzip.open(name, "wt", encoding="utf-8", newline="", compresslevel=1) as part:
                    csv.writer(part).writerows([header, *rows[::-1][number::num_files]])
            return
        lines = file.readlines()[::-1]
    for number in range(num_files):
        with open(target / f"{source.stem}{number}.jsonl", "w", encoding="utf-8") as part:
            part.writelines(lines[number::num_files])


@contextmanager
def job_service(folder: Path) -> Iterator[Portable]:
    """Beam's own job service and a pool of workers, each a process of its own."""
    ports = [_free_port(), _free_port()]
    modules = (
        ("portability.local_job_service_main", "--port", str(ports[0]), "--staging_dir", folder),
        ("worker.worker_pool_main", "--service_port", str(ports[1])),
    )
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    started = [
        subprocess.Popen(
            [sys.executable, "-P", "-m", f"apache_beam.runners.{name}", *map(str, flags)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        for name, *flags in modules
    ]
    try:
        for port in ports:
            _wait_for(port)
        yield Portable(
            endpoint=f"localhost:{ports[0]}",
            environment="external",
            environment_config=f"localhost:{ports[1]}",
        )
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing answers on port {port}")


@pytest.mark.long
@pytest.mark.parametrize("train", ["val", pytest.param("train", marks=pytest.mark.slow)])
@pytest.mark.timeout(600)
def test_tweets_are_the_same_from_every_runner_and_any_number_of_files(
    real_data: Callable[[str], Path], tmp_path: Path, train: str
) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    for name, source in (("train", train), ("test", "test")):
        (whole / f"{name}.jsonl").symlink_to(real_data("umsab_multilingual") / f"{source}.jsonl")
    expected = made(whole, tmp_path / "in_process", TWEETS)
    assert sum(name.endswith(".tfrecord") for name in expected) == 12
    (tmp_path / "parts").mkdir()
    for name in ("train", "test"):
        split_up(whole / f"{name}.jsonl", tmp_path / "parts", 8)
    changes = {"runner": "processes", "num_workers": 2}
    assert made(tmp_path / "parts", tmp_path / "processes", TWEETS, **changes) == expected
    with job_service(tmp_path / "staging") as portable:
        changes = {"runner": "portable", "portable": portable}
        assert made(whole, tmp_path / "portable", TWEETS, **changes) == expected


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_reviews_are_the_same_from_every_runner_and_any_number_of_files(
    real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    whole = real_data("imdb")
    expected = made(whole, tmp_path / "in_process", IMDB)
    (tmp_path / "parts").mkdir()
    for name in ("train", "test"):
        split_up(whole / f"{name}.csv.gz", tmp_path / "parts", 8)
    assert made(tmp_path / "parts", tmp_path / "eight", IMDB) == expected
    changes = {"runner": "processes", "num_workers": 2}
    assert made(whole, tmp_path / "processes", IMDB, **changes) == expected
    with job_service(tmp_path / "staging") as portable:
        changes = {"runner": "portable", "portable": portable}
        assert made(whole, tmp_path / "portable", IMDB, **changes) == expected


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_another_environment_makes_the_same_shards(
    real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    """TPULINE_OTHER_PYTHON: the interpreter of a second environment with tpuline installed."""
    other = os.environ.get("TPULINE_OTHER_PYTHON")
    if not other:
        pytest.skip("TPULINE_OTHER_PYTHON is not set: it names a second environment's Python")
    program = (
        "import json, sys; from pathlib import Path\n"
        "from tests.components.preprocess.test_same_bytes import TWEETS, IMDB, made\n"
        "data, out = map(Path, sys.argv[1:3])\n"
        "print(json.dumps(made(data, out, {'t': TWEETS, 'i': IMDB}[sys.argv[3]])))\n"
    )
    for name, fields in (("umsab_multilingual", TWEETS), ("imdb", IMDB)):
        data = real_data(name)
        done = subprocess.run(
            [other, "-c", program, str(data), str(tmp_path / f"{name}-other"), name[0:1]
             if name == "imdb" else "t"],
            stdout=subprocess.PIPE, check=True, cwd=Path(__file__).parents[3],
        )  # fmt: skip
        assert json.loads(done.stdout.splitlines()[-1]) == made(data, tmp_path / name, fields)
