"""Latency of one trained model in every format, beside what others would serve: texts to labels.

    python tests/benchmarks/serve.py --shards RUNS/preprocess/KEY --model RUNS/train/KEY

Real rows of the test split, one text a request and 32. All cases live in one process and take turns
of ten requests, as the variants of a run do (`components/turns.py`): a machine that is busy for a
while is so for all. Every request is made once before any is timed: shapes are compiled then.
Prints medians, tails, and ratios of medians to the plain Keras export.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cases import Silence

from tpuline.components import texts, turns
from tpuline.components.contracts import ShardSet, TrainedModel
from tpuline.components.export import stage as export
from tpuline.components.restoring import restored
from tpuline.components.serving import answering
from tpuline.components.stage import Context
from tpuline.components.turns import Request, Turns
from tpuline.pipeline import api

FORMATS = ("saved_model", "xla", "onnx", "openvino", "litert")
PADDED, ORT = "plain Keras export, padded", "ONNX Runtime, tokenizers"

Ask = Callable[[Sequence[str]], Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way to answer."""

    name: str
    ask: Ask
    size_mb: float


class OnTheCpu:
    """What a stage that restores a model asks of the hardware."""

    def dtype(self, name: str) -> Any:
        from tpuline.pipeline.hardware.strategy import dtype_policy

        return dtype_policy(name)


def ours(shards: ShardSet, model: TrainedModel, format: Any, folder: Path) -> Case:
    """As the export stage leaves it."""
    workdir = folder / format
    workdir.mkdir()
    ctx: Any = Context(
        workdir=workdir, data_dir=workdir, seed=0, hardware=OnTheCpu(), log=Silence()
    )
    inputs = export.Inputs(shards=shards, model=replace(model, serve_as=format))
    servable = export.run(export.Config(), inputs, ctx)
    assert servable.parity.passed, servable.parity
    loaded = answering.load(workdir / servable.saved_model_dir)
    size_mb = servable.size_bytes / 1e6
    return Case(name=format, ask=lambda rows: loaded.texts([list(rows)])["label"], size_mb=size_mb)


def padded(shards: ShardSet, model: TrainedModel, folder: Path) -> Case:
    """KerasHub's own preprocessor in front of the model, every row of the full length. It is asked
    past Python's wrapper around a signature, as ours is."""
    import keras
    import keras_hub
    import tensorflow as tf

    network = restored(model, shards, OnTheCpu())  # type: ignore[arg-type]
    preprocessor = keras_hub.models.BertTextClassifierPreprocessor(
        keras_hub.tokenizers.BertTokenizer(
            str(Path(shards.uri) / shards.vocabulary_file), lowercase=shards.lowercase
        ),
        sequence_length=shards.sequence_length,
    )
    labels = tf.constant(list(shards.label_names))

    def serve(text: Any) -> Any:
        made = preprocessor(text)
        features = {
            "token_ids": made["token_ids"],
            "padding_mask": tf.cast(made["padding_mask"], tf.int32),
        }
        probabilities = tf.nn.softmax(network(features, training=False))
        return {"label": tf.gather(labels, tf.argmax(probabilities, axis=-1))}

    class Tables(tf.Module):
        """The tables of the preprocessor, which as a layer has nothing to build."""

        def __init__(self, of: Any) -> None:
            super().__init__()
            self.of = of

    archive = keras.export.ExportArchive()  # what `model.export` saves with
    archive.track(network)
    archive.track(Tables(preprocessor))
    spec = [tf.TensorSpec([None], tf.string, name="text")]
    archive.add_endpoint("serving_default", serve, input_signature=spec)
    place = folder / "padded"
    archive.write_out(str(place), verbose=False)
    loaded = tf.saved_model.load(str(place))
    direct = answering._direct(loaded.signatures["serving_default"])

    def ask(rows: Sequence[str], _: Any = loaded) -> Any:
        return direct({"text": tf.constant(list(rows))})["label"].numpy()

    return Case(name=PADDED, ask=ask, size_mb=size_of(place))


def onnx_runtime(shards: ShardSet, folder: Path) -> Case:
    """What one would write with `tokenizers` and ONNX Runtime, rows as long as the longest."""
    import numpy as np
    from tokenizers import BertWordPieceTokenizer

    file = next((folder / "onnx").rglob("model.onnx"))
    run = answering._onnx(file)
    tokenizer = BertWordPieceTokenizer(
        str(Path(shards.uri) / shards.vocabulary_file), lowercase=shards.lowercase
    )
    tokenizer.enable_truncation(shards.sequence_length)
    tokenizer.enable_padding()

    def ask(rows: Sequence[str]) -> Any:
        encodings = tokenizer.encode_batch(list(rows))
        features = {
            "token_ids": np.array([e.ids for e in encodings], np.int32),
            "padding_mask": np.array([e.attention_mask for e in encodings], np.int32),
        }
        return run(features).argmax(axis=1)

    return Case(name=ORT, ask=ask, size_mb=file.stat().st_size / 1e6)


def measure(
    cases: Sequence[Case], rows: Sequence[str], *, batch_size: int, rounds: int
) -> dict[str, list[float]]:
    """Milliseconds of requests by case."""

    def of(case: Case) -> Request:
        def request(index: int) -> Any:
            start = index * batch_size
            return case.ask([rows[(start + i) % len(rows)] for i in range(batch_size)])

        return request

    requests = {case.name: of(case) for case in cases}
    return turns.measure(requests, Turns(rounds=rounds, max_seconds=600))


def table(cases: Sequence[Case], times: dict[str, list[float]], batch_size: int) -> None:
    base = statistics.median(times[cases[0].name])
    print(f"\n{batch_size} text(s) a request, {len(times[cases[0].name])} requests")
    print(f"{'':<28} {'p50 ms':>8} {'p90 ms':>8} {'p99 ms':>8} {'x plain':>8} {'MB':>7}")
    for case in cases:
        sorted_ms = sorted(times[case.name])
        p50, p90, p99 = (sorted_ms[int(len(sorted_ms) * q)] for q in (0.5, 0.9, 0.99))
        ratio = base / p50
        print(
            f"{case.name:<28} {p50:8.2f} {p90:8.2f} {p99:8.2f} {ratio:8.2f} {case.size_mb:7.1f}",
            flush=True,
        )


def size_of(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shards", required=True, type=Path)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=FORMATS)
    parser.add_argument("--rounds", type=int, default=40, help="of ten requests; half count")
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[1, 32])
    args = parser.parse_args()
    shards, model = api.open_artifact(args.shards), api.open_artifact(args.model)
    rows = [row[0] for row in texts.sample_rows(shards, "test", num_rows=1024, seed=0)]
    lengths = [len(row.split()) for row in rows]
    print(f"{len(rows)} rows of test, median {statistics.median(lengths)} words", file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cases = [padded(shards, model, folder)]
        cases += [ours(shards, model, name, folder) for name in args.formats]
        if "onnx" in args.formats and shards.tokenizer == "wordpiece":
            cases.append(onnx_runtime(shards, folder))
        for batch_size in args.batch_sizes:
            rounds = max(args.rounds // (1 if batch_size == 1 else 4), 1)
            table(cases, measure(cases, rows, batch_size=batch_size, rounds=rounds), batch_size)


if __name__ == "__main__":
    main()
