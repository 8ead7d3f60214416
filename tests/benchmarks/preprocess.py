"""Preprocessing against a plain loop over the same files, and its memory against the data's size.

    python tests/benchmarks/preprocess.py --data DIR/imdb [--rounds 3]
    python tests/benchmarks/preprocess.py --memory

The plain loop reads the same files, cleans and tokenises batches with the same ops and writes the
same records, with a vocabulary that is given: no hashing, splitting, sorting, texts or statistics.
Every measurement is a fresh process, and the kinds take turns. Imports are not counted.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FILES = ("train.csv.gz", "test.csv.gz")
SEQUENCE_LENGTH = 256
KINDS = ("stage, vocabulary learnt", "stage, vocabulary given", "plain loop")


class Silence:
    """A log that nobody reads."""

    def info(self, message: str, **facts: Any) -> None: ...
    def warning(self, message: str, **facts: Any) -> None: ...
    def progress(
        self, task: str, completed: float, total: float | None, note: str = ""
    ) -> None: ...


def run_stage(data: Path, out: Path, *, preset: Path | None, files: tuple[str, ...]) -> int:
    """The stage from end to end; returns the number of rows."""
    from tpuline.components.preprocess import stage
    from tpuline.components.stage import Context

    train, test = files if len(files) == 2 else (files[0], None)
    config = stage.Config(
        source=stage.Source(train=train, test=test),
        sequence_length=SEQUENCE_LENGTH,
        vocabulary=stage.Vocabulary(preset=None if preset is None else str(preset)),
    )
    ctx = Context(workdir=out, data_dir=data, seed=0, hardware=None, log=Silence())  # type: ignore[arg-type]
    shards = stage.run(config, stage.Inputs(), ctx)
    return sum(split.num_examples for split in shards.splits)


def run_loop(data: Path, out: Path, *, preset: Path) -> int:
    """What one would write by hand; returns the number of rows."""
    import numpy as np
    import tensorflow as tf

    from tpuline.components.graph_tokenizer import GraphTokenizer
    from tpuline.components.preprocess.records import encode_examples
    from tpuline.components.vocabulary import load_vocabulary

    tokenizer = GraphTokenizer(
        load_vocabulary(preset / "vocab.txt"),
        lowercase=True,
        sequence_length=SEQUENCE_LENGTH,
        has_text_pair=False,
    )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def tokenize(texts: Any) -> Any:
        token_ids = tokenizer(texts).token_ids
        return token_ids.values, token_ids.row_lengths()

    num_rows = 0
    with tf.io.TFRecordWriter(str(out / "all.tfrecord")) as writer:
        for name in FILES:
            for batch in csv_batches(data / name):
                values, lengths = tokenize([text for text, _ in batch])
                labels = np.array([int(label) for _, label in batch])
                features = {
                    "label": (labels, np.ones(len(labels), np.int64)),
                    "token_ids": (values.numpy(), lengths.numpy()),
                }
                for example in encode_examples(features):
                    writer.write(example)
                num_rows += len(batch)
    return num_rows


def csv_batches(path: Path) -> Iterator[list[tuple[str, str]]]:
    """(text, label) of a gzip-compressed CSV, 256 at a time."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        header = next(rows)
        text, label = header.index("text"), header.index("label")
        batch = []
        for row in rows:
            batch.append((row[text], row[label]))
            if len(batch) == 256:
                yield batch
                batch = []
        if batch:
            yield batch


def child(kind: str, data: Path, out: Path, preset: Path) -> None:
    """One measurement; prints it as JSON."""
    import tensorflow  # noqa: F401

    import tpuline.components.preprocess.graph  # noqa: F401

    work: dict[str, Callable[[], int]] = {
        KINDS[0]: lambda: run_stage(data, out, preset=None, files=FILES),
        KINDS[1]: lambda: run_stage(data, out, preset=preset, files=FILES),
        KINDS[2]: lambda: run_loop(data, out, preset=preset),
        "synthetic": lambda: run_stage(data, out, preset=None, files=("rows.csv",)),
    }
    before_mb = peak_mb()
    cpu, wall = time.process_time(), time.perf_counter()
    num_rows = work[kind]()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps([num_rows, num_rows / cpu, num_rows / wall, before_mb, peak_mb()]))


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(kind: str, data: Path, preset: Path) -> list[float]:
    """[rows, rows per CPU second, rows per second, MB before, MB at most] of a fresh process."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, __file__, "--child", kind, str(data), out, str(preset)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
        )
    return json.loads(done.stdout.splitlines()[-1])


def speed(data: Path, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        preset = Path(folder) / "preset"
        preset.mkdir()
        run_stage(data, Path(folder), preset=None, files=FILES)
        (Path(folder) / "vocabulary.txt").rename(preset / "vocab.txt")
        results: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
        for _ in range(rounds):
            for kind in KINDS:
                results[kind].append(measure(kind, data, preset))
    print(f"{rounds} rounds, medians; {SEQUENCE_LENGTH} tokens")
    print(f"{'':28}{'rows':>8}{'rows/CPU s':>12}{'rows/s':>9}{'peak MB':>9}{'ratio':>7}")
    base = statistics.median(result[1] for result in results[KINDS[2]])
    for kind in KINDS:
        rows, per_cpu, per_s, _, peak = map(statistics.median, zip(*results[kind], strict=True))
        print(
            f"{kind:28}{rows:8,.0f}{per_cpu:12,.0f}{per_s:9,.0f}{peak:9,.0f}{per_cpu / base:7.2f}"
        )


def memory() -> None:
    """Peak resident memory for ten times as many rows."""
    for num_rows in (25_000, 250_000):
        with tempfile.TemporaryDirectory() as data:
            write_synthetic(Path(data) / "rows.csv", num_rows)
            size_mb = (Path(data) / "rows.csv").stat().st_size / 1e6
            rows, _, per_s, before, peak = measure("synthetic", Path(data), Path(data))
        print(
            f"{rows:,.0f} rows, {size_mb:,.0f} MB of text: peak {peak:,.0f} MB, of which "
            f"{before:,.0f} MB after imports; {per_s:,.0f} rows/s"
        )


def write_synthetic(path: Path, num_rows: int) -> None:
    """Rows of 100 to 300 made-up words out of 20,000."""
    drawn = random.Random(0)
    letters = "etaoinshrdlucmfwypvbgk"
    words = ["".join(drawn.choices(letters, k=drawn.randint(2, 9))) for _ in range(20_000)]
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for _ in range(num_rows):
            text = " ".join(drawn.choices(words, k=drawn.randint(100, 300)))
            writer.writerow([text, drawn.choice("01")])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with train.csv.gz and test.csv.gz (IMDB)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="measure memory instead of speed")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        kind, *paths = options.child
        child(kind, *map(Path, paths))
    elif options.memory:
        memory()
    elif options.data:
        speed(options.data, options.rounds)
    else:
        parser.error("give --data or --memory")


if __name__ == "__main__":
    main()
