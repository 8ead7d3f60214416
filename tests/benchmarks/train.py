"""Training against plain KerasHub and PyTorch: the same small BERT on the same stored rows.

    python tests/benchmarks/train.py --data DIR [--sets sst2 imdb] [--hf-python PYTHON]

DIR holds sst2/ and imdb/. A 2 x 128 BERT, new, AdamW, batches of 32, one pass. Every kind is a
process of its own that builds and warms up first; then they take turns, so that a machine that is
busy for a while is so for all. CPU seconds are those of all threads. PYTHON is an interpreter that
has `torch` and `transformers`; without it there is no comparison with them. `--set` changes the
train stage's config: `--set buckets=8`.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from cases import Silence
from train_cases import KINDS, Spec

CASES = Path(__file__).with_name("train_cases.py")
WHAT = {
    "ours": "tpuline",
    "keras_fit": "KerasHub fit, fixed length",
    "torch_dynamic": "transformers, longest of batch",
    "torch_fixed": "transformers, fixed length",
}
BATCH_SIZE = 32
VALIDATION_ROWS = 2_700  # so many at most


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A folder of real texts."""

    train: str
    validation: tuple[str, ...]
    text_column: str
    sequence_length: int
    examples: int  # by default; a minute a round


SETS = {
    "sst2": DataSet(
        train="train.tsv",
        validation=("dev.tsv", "test_labeled.tsv"),
        text_column="sentence",
        sequence_length=64,
        examples=24_000,
    ),
    "imdb": DataSet(
        train="train.csv.gz",
        validation=("test.csv.gz",),
        text_column="text",
        sequence_length=256,
        examples=6_000,
    ),
}

WIDTHS = (9, 7, 12, 7, 10, 14)  # of the columns

NO_SPINNING = {"OMP_WAIT_POLICY": "passive"}
"""Else threads of PyTorch burn the time of a core for which they wait, ten times what they need."""

Turn = dict[str, Any]


class Child:
    """A process that trains when told to."""

    def __init__(self, kind: str, spec: Spec, python: str, folder: Path, threads: int) -> None:
        self.kind = kind
        self._errors = folder / f"{kind}.log"
        names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
        with self._errors.open("w", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                [python, str(CASES), kind, json.dumps(asdict(spec))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=folder,
                env=os.environ | dict.fromkeys(names, str(threads)) | NO_SPINNING,
            )

    def turn(self) -> Turn:
        """Lets it train for one turn."""
        told, says = self._process.stdin, self._process.stdout
        assert told is not None and says is not None
        told.write("\n")
        told.flush()
        for line in says:
            if line.startswith("RESULT "):
                result: Turn = json.loads(line.removeprefix("RESULT "))
                return result
        errors = self._errors.read_text(encoding="utf-8")
        sys.exit(f"{self.kind} failed:\n{errors[-3000:]}")

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            _close(pipe)


def _close(pipe: IO[str] | None) -> None:
    if pipe is not None:
        pipe.close()


def read(path: Path, text_column: str) -> Iterator[tuple[str, str]]:
    """(text, label) of each row of a CSV or TSV file."""
    form = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if path.suffix == ".tsv" else {}
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, **form):
            yield row[text_column], row["label"]


def copy_rows(data: DataSet, source: Path, num_rows: int, folder: Path) -> None:
    """train.csv and validation.csv: the first rows of each."""
    wanted = {"train": ((data.train,), num_rows), "validation": (data.validation, VALIDATION_ROWS)}
    for split, (names, most) in wanted.items():
        rows = itertools.chain.from_iterable(read(source / n, data.text_column) for n in names)
        with open(folder / f"{split}.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *itertools.islice(rows, most)])


def preprocess(data: DataSet, folder: Path) -> Any:
    """The shards of the rows in `folder`; as JSON in shards.json, as arrays in rows.npz."""
    from tpuline.components.preprocess import stage
    from tpuline.components.stage import Context

    (folder / "shards").mkdir()
    config = stage.Config(
        source=stage.Source(train="train.csv", validation="validation.csv"),
        cut=stage.Cut(test=0.01),
        vocabulary=stage.Vocabulary(size=8000),
        sequence_length=data.sequence_length,
    )
    context = Context(
        workdir=folder / "shards",
        data_dir=folder,
        seed=0,
        hardware=None,  # type: ignore[arg-type]
        log=Silence(),
    )
    shards = stage.run(config, stage.Inputs(), context)
    (folder / "shards.json").write_text(json.dumps(asdict(shards)), encoding="utf-8")
    save_arrays(shards, folder / "rows.npz")
    return shards


def save_arrays(shards: Any, path: Path) -> None:
    """The rows for those who do not read shards."""
    import numpy as np

    from tpuline.components.stored_examples import read_examples

    names = ("vocabulary_size", "sequence_length")
    arrays: dict[str, Any] = {name: getattr(shards, name) for name in names}
    arrays["num_labels"] = len(shards.label_names)
    for name in ("train", "validation"):
        files = [str(Path(shards.uri, one.records_file)) for one in shards.split(name).shards]
        rows = [row for file in files for row in read_examples(file)]
        arrays[f"{name}_ids"] = np.concatenate([row["token_ids"] for row in rows])
        arrays[f"{name}_lengths"] = [len(row["token_ids"]) for row in rows]
        arrays[f"{name}_labels"] = [row["label"][0] for row in rows]
    np.savez(path, **arrays)


def compare(folder: Path, options: argparse.Namespace) -> dict[str, list[Turn]]:
    """Every kind once a round, in turn; the last turn of each is not one of them."""
    spec = Spec(
        shards=str(folder / "shards.json"),
        arrays=str(folder / "rows.npz"),
        batch_size=BATCH_SIZE,
        rounds=options.rounds,
        settings=dict(options.set),
    )
    children: list[Child] = []
    try:
        for kind in options.kinds:
            python = options.hf_python if kind.startswith("torch") else sys.executable
            children.append(Child(kind, spec, python, folder, options.threads))
            seconds = children[-1].turn()["wall_s"]
            print(f"{kind} built and warm after {seconds:.1f} s", file=sys.stderr, flush=True)
        results: dict[str, list[Turn]] = {child.kind: [] for child in children}
        for number in range(options.rounds + 1):
            # Who comes after whom changes from round to round.
            for child in children if number % 2 else children[::-1]:
                results[child.kind].append(found := child.turn())
                if "rows" in found:
                    rate = found["rows"] / found["wall_s"]
                    note = (
                        f"round {number + 1}: {child.kind} {found['wall_s']:.1f} s, {rate:,.0f}/s"
                    )
                    print(note, file=sys.stderr, flush=True)
        return results
    finally:
        for child in children:
            child.end()


def middle(turns: Sequence[Turn], per: str) -> float:
    """Median over the rounds of the rows in a second of `per`."""
    return statistics.median(turn["rows"] / turn[per] for turn in turns)


def ratio(ours: Sequence[Turn], theirs: Sequence[Turn], per: str) -> float:
    """Median over the rounds of how much faster ours is; both took their turn at about one time."""
    pairs = zip(ours, theirs, strict=True)
    return statistics.median((a["rows"] / a[per]) / (b["rows"] / b[per]) for a, b in pairs)


def interval(accuracy: float, num_rows: int) -> tuple[float, float]:
    """Wilson's interval of 95 % for a share of `num_rows`."""
    z = 1.96
    scale = 1 + z * z / num_rows
    middle_of = (accuracy + z * z / (2 * num_rows)) / scale
    spread = accuracy * (1 - accuracy) / num_rows + z * z / (4 * num_rows * num_rows)
    half = z * math.sqrt(spread) / scale
    return middle_of - half, middle_of + half


def tell(name: str, shards: Any, results: Mapping[str, list[Turn]], rounds: int) -> None:
    train, validation = (shards.split(split).num_examples for split in ("train", "validation"))
    print(
        f"\n{name}: {train:,} rows of at most {shards.sequence_length} tokens, "
        f"{shards.split('train').num_tokens / train:.0f} on average, vocabulary of "
        f"{shards.vocabulary_size:,}; medians of {rounds} rounds, x: how much faster tpuline is in "
        f"the same round; accuracy on {validation:,} validation rows after one pass"
    )
    heads = ("rows/s", "x", "rows/CPU s", "x", "accuracy", "of 95 %")
    print(
        f"{'':32}" + "".join(f"{head:>{width}}" for head, width in zip(heads, WIDTHS, strict=True))
    )
    for kind, turns in results.items():
        *counted, last = turns
        low, high = interval(last["accuracy"], validation)
        cells = []
        for per in ("wall_s", "cpu_s"):
            base = results.get("ours")
            cells.append(f"{middle(counted, per):,.0f}")
            cells.append(f"{ratio(base[:-1], counted, per):.2f}" if base else "-")
        cells += [f"{last['accuracy']:.3f}", f"{low:.3f}-{high:.3f}"]
        print(
            f"{WHAT[kind]:32}"
            + "".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
        )
    for kind, turns in results.items():
        if "note" in turns[-1]:
            print(f"{WHAT[kind]}: {turns[-1]['note']}")


def setting(text: str) -> tuple[str, Any]:
    """`name=value`, the value in JSON."""
    name, _, value = text.partition("=")
    return name, json.loads(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder with sst2/ and imdb/")
    parser.add_argument("--sets", nargs="+", choices=sorted(SETS), default=list(SETS))
    parser.add_argument("--examples", type=int, help="training rows (default: a minute a round)")
    parser.add_argument("--length", type=int, help="tokens at most, instead of the set's own")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each kind")
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=list(KINDS))
    parser.add_argument("--hf-python", help="an interpreter with torch and transformers")
    parser.add_argument("--set", nargs="+", type=setting, default=[("buckets", 4)], metavar="K=V")
    options = parser.parse_args()
    if not options.hf_python:
        options.kinds = [kind for kind in options.kinds if not kind.startswith("torch")]
    for name in options.sets:
        data = SETS[name]
        if options.length is not None:
            data = replace(data, sequence_length=options.length)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            copy_rows(data, options.data / name, options.examples or data.examples, folder)
            shards = preprocess(data, folder)
            tell(name, shards, compare(folder, options), options.rounds)


if __name__ == "__main__":
    main()
