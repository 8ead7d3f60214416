"""Preprocessing against other ways to do the same, and its memory against the data's size.

    python tests/benchmarks/preprocess.py --data DIR/imdb [--rounds 3] [--hf-python PYTHON]
    python tests/benchmarks/preprocess.py --workers [--data DIR/imdb]
    python tests/benchmarks/preprocess.py --memory

Every measurement is a fresh process, and the kinds take turns, so that a machine that is busy for a
while is so for all. Imports are not counted. CPU seconds are those of all processes. PYTHON is an
interpreter that has `datasets` and `tokenizers`; without it there is no comparison with them.
Workers and memory are measured with made-up texts.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import itertools
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from cases import KINDS, read_rows

CASES = Path(__file__).with_name("cases.py")
WHAT = {
    "ours": "tpuline, no more than the others do",
    "ours_all": "tpuline, every judgement on",
    "ours_private": "tpuline, learning and redacting too",
    "beam_kerashub": "Beam, KerasHub tokenizer a row",
    "hf_map_1": "HF datasets.map, 1 process",
    "hf_map_2": "HF datasets.map, 2 processes",
    "tfds_builder": "TFDS builder, tokenizers",
    "limit": "plain lean loop",
    "ours_1_process": "tpuline, processes: 1",
    "ours_2_processes": "tpuline, processes: 2",
    "ours_learnt": "tpuline as it comes",
}
COMPARED = tuple(WHAT)[:8]
SLOW_ROWS = {"beam_kerashub": 1000}
"""Kinds that get fewer rows."""

Result = dict[str, float]


def gather(data: Path, num_rows: int | None, target: Path) -> None:
    """All rows of a folder's CSV files, or the first, as one file with text and label."""
    paths = sorted(path for path in data.iterdir() if path.name.endswith((".csv", ".csv.gz")))
    rows = itertools.chain.from_iterable(map(_csv_rows, paths))
    with open(target, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *itertools.islice(rows, num_rows)])


def _csv_rows(path: Path) -> Iterator[tuple[str, str]]:
    packed = path.name.endswith(".gz")
    with (gzip.open if packed else open)(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield row["text"], row["label"]


class Bench:
    """A scratch folder with the input and the vocabulary that all kinds share."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.options = folder, options
        self.source = folder / "rows.csv"

    def learn(self) -> None:
        """The vocabulary: what the stage learns from the input."""
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            self.measure("ours_learnt", out=out)
            (self.folder / "vocabulary").mkdir()
            Path(out, "vocabulary.txt").rename(self.folder / "vocabulary" / "vocab.txt")

    def measure(self, kind: str, *, out: str | None = None) -> Result:
        """One fresh process."""
        source = self._head(SLOW_ROWS[kind]) if kind in SLOW_ROWS else self.source
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            spec = {
                "source": str(source),
                "out": out or scratch,
                "vocabulary": str(self.folder / "vocabulary"),
                "length": self.options.length,
            }
            python = self.options.hf_python if kind.startswith("hf_") else sys.executable
            done = subprocess.run(
                [python, str(CASES), kind, json.dumps(spec)],
                capture_output=True,
                text=True,
                cwd=scratch,
            )
        if done.returncode:
            sys.exit(f"{kind} failed:\n{done.stderr[-3000:]}")
        result: Result = json.loads(done.stdout.splitlines()[-1])
        num_rows = sum(1 for _ in read_rows(str(source)))
        if result["written"] < 0.8 * num_rows:  # duplicates may go; more is another kind of work
            sys.exit(f"{kind} wrote only {result['written']:,.0f} of {num_rows:,} rows")
        return result | {"rows": num_rows, "mb": source.stat().st_size / 1e6}

    def rounds(self, kinds: Sequence[str]) -> dict[str, list[Result]]:
        """Every kind once a round, in turn."""
        results: dict[str, list[Result]] = {kind: [] for kind in kinds}
        for number in range(self.options.rounds):
            for kind in kinds:
                results[kind].append(self.measure(kind))
                seconds = results[kind][-1]["wall_s"]
                print(f"round {number + 1}: {kind} {seconds:.1f} s", file=sys.stderr, flush=True)
        return results

    def _head(self, num_rows: int) -> Path:
        """The first rows of the input, in a folder of their own."""
        target = self.folder / f"head-{num_rows}" / "rows.csv"
        if not target.exists():
            target.parent.mkdir()
            with open(target, "w", encoding="utf-8", newline="") as file:
                rows = itertools.islice(read_rows(str(self.source)), num_rows)
                csv.writer(file).writerows([("text", "label"), *rows])
        return target


def middle(results: Sequence[Result], value: str, *, per: str | None = None) -> float:
    """The median over the rounds."""
    return statistics.median(r[value] / (r[per] if per else 1) for r in results)


def speed(bench: Bench, kinds: Sequence[str]) -> None:
    bench.learn()
    results = bench.rounds(kinds)
    rates = {kind: middle(found, "rows", per="cpu_s") for kind, found in results.items()}
    print(
        f"medians of {bench.options.rounds} rounds, at most {bench.options.length} tokens; the "
        "ratios are those of documents per CPU second"
    )
    head = ("rows", "docs/s", "docs/CPU s", "MB/s", "peak MB", "x HF map", "x limit")
    print(f"{'':38}" + "".join(f"{title:>11}" for title in head))
    for kind, found in results.items():
        ratios = [
            f"{rates[kind] / rates[base]:.2f}" if base in rates else "-"
            for base in ("hf_map_1", "limit")
        ]
        columns = (
            f"{middle(found, 'rows'):,.0f}",
            f"{middle(found, 'rows', per='wall_s'):,.0f}",
            f"{rates[kind]:,.0f}",
            f"{middle(found, 'mb', per='wall_s'):.2f}",
            f"{middle(found, 'peak_mb'):,.0f}",
            *ratios,
        )
        print(f"{WHAT[kind]:38}" + "".join(f"{column:>11}" for column in columns))
    print(
        "peak MB: the peaks of all processes added up, pages that they share counted in each; "
        "HF datasets: reading the CSV is not counted"
    )
    for kind in SLOW_ROWS.keys() & results.keys():
        print(f"{WHAT[kind]}: too slow for all rows, its rates are those of its first rows")


def workers(bench: Bench) -> None:
    """What worker processes give: seconds from end to end, their start included."""
    bench.learn()
    results = bench.rounds(("ours", "ours_1_process", "ours_2_processes"))
    base = middle(results["ours"], "wall_s")
    print(f"medians of {bench.options.rounds} rounds")
    print(f"{'':38}{'rows':>9}{'wall s':>9}{'CPU s':>9}{'speed-up':>10}{'peak MB':>9}")
    for kind, found in results.items():
        wall = middle(found, "wall_s")
        print(
            f"{WHAT[kind]:38}{middle(found, 'rows'):9,.0f}{wall:9.1f}{middle(found, 'cpu_s'):9.1f}"
            f"{base / wall:10.2f}{middle(found, 'peak_mb'):9,.0f}"
        )


def memory(bench: Bench) -> None:
    """Peak resident memory for ten times as many rows."""
    for num_rows in (25_000, 250_000):
        write_synthetic(bench.source, num_rows)
        found = bench.measure("ours_learnt")
        print(
            f"{found['rows']:,.0f} rows, {found['mb']:,.0f} MB of text: peak "
            f"{found['peak_mb']:,.0f} MB, of which {found['before_mb']:,.0f} MB after imports; "
            f"{found['rows'] / found['wall_s']:,.0f} rows/s"
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
    parser.add_argument("--data", type=Path, help="a folder of *.csv or *.csv.gz: text, label")
    parser.add_argument("--rows", type=int, help="the first rows only")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--length", type=int, default=256, help="tokens at most (default: 256)")
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=list(COMPARED))
    parser.add_argument("--hf-python", help="an interpreter with datasets and tokenizers")
    parser.add_argument("--memory", action="store_true", help="measure memory instead of speed")
    parser.add_argument("--workers", action="store_true", help="measure 1 and 2 processes")
    options = parser.parse_args()
    kinds = [kind for kind in options.kinds if options.hf_python or not kind.startswith("hf_")]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options)
        if options.data is not None:
            gather(options.data, options.rows, bench.source)
        elif options.workers:
            write_synthetic(bench.source, options.rows or 300_000)
        elif not options.memory:
            parser.error("give --data, --workers or --memory")
        if options.memory:
            memory(bench)
        else:
            workers(bench) if options.workers else speed(bench, kinds)


if __name__ == "__main__":
    main()
