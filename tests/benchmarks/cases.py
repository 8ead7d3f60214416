"""One measurement of `preprocess.py`: a kind of preprocessing over one CSV file, in this process.

    python cases.py KIND SPEC      SPEC is JSON: source, out, vocabulary (a folder), length

Prints one line of JSON. All kinds do the same: clean, tokenise with the same WordPiece vocabulary,
cut to `length` tokens, write. What a kind has to import is imported before the clock starts. Kinds
that begin with `hf` run without this project, in an environment of their own.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from costs import Memory, cpu_seconds, peak_mb

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

BATCH = 256
Work = Callable[[], int]
"""What is timed; returns the number of rows written."""


def read_rows(source: str) -> Iterator[tuple[str, int]]:
    """(text, label) of each row."""
    with open(source, encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        header = next(rows)
        text, label = header.index("text"), header.index("label")
        for row in rows:
            yield row[text], int(row[label])


_TAG, _SPACE = re.compile("<[^>]+>"), re.compile(r"\s+")


def clean(text: str) -> str:
    return _SPACE.sub(" ", _TAG.sub(" ", text)).strip()


def batches(rows: Iterable[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    rows = iter(rows)
    while batch := list(itertools.islice(rows, BATCH)):
        yield batch


class Silence:
    """A log that nobody reads."""

    def info(self, message: str, **facts: Any) -> None: ...
    def warning(self, message: str, **facts: Any) -> None: ...
    def progress(
        self, task: str, completed: float, total: float | None, note: str = ""
    ) -> None: ...


def ours(spec: dict[str, Any], **changes: Any) -> Work:
    """The stage from end to end."""
    import tensorflow  # noqa: F401

    from tpuline.components.preprocess import graph, stage  # noqa: F401
    from tpuline.components.stage import Context

    config = stage.Config(
        source=stage.Source(train=Path(spec["source"]).name),
        sequence_length=spec["length"],
        **changes,
    )
    ctx = Context(
        workdir=Path(spec["out"]),
        data_dir=Path(spec["source"]).parent,
        seed=0,
        hardware=None,  # type: ignore[arg-type]
        log=Silence(),
    )

    def run() -> int:
        made = stage.run(config, stage.Inputs(), ctx)
        return sum(split.num_examples for split in made.splits)

    return run


def ours_bare(spec: dict[str, Any], **changes: Any) -> Work:
    """No more than the others do, as far as it can be turned off."""
    from tpuline.components.preprocess.duplicates.found import DuplicatesConfig
    from tpuline.components.preprocess.leakage import Leakage
    from tpuline.components.preprocess.stage import Vocabulary

    return ours(
        spec,
        vocabulary=Vocabulary(preset=spec["vocabulary"]),
        duplicates=DuplicatesConfig(exact="report", near="off", across="report"),
        leakage=Leakage(columns="off"),
        **changes,
    )


def ours_all(spec: dict[str, Any]) -> Work:
    """Every judgement on: near duplicates dropped, leaking columns looked for, texts described."""
    from tpuline.components.preprocess.duplicates.found import DuplicatesConfig
    from tpuline.components.preprocess.stage import Vocabulary

    return ours(
        spec,
        vocabulary=Vocabulary(preset=spec["vocabulary"]),
        duplicates=DuplicatesConfig(near="drop"),
    )


def ours_private(spec: dict[str, Any]) -> Work:
    """The same, personal data redacted and a vocabulary learnt."""
    from tpuline.components.preprocess.duplicates.found import DuplicatesConfig
    from tpuline.components.preprocess.privacy import KINDS as PERSONAL
    from tpuline.components.preprocess.privacy import Privacy

    kinds = tuple(kind for kind in PERSONAL if kind != "national_id")
    return ours(spec, duplicates=DuplicatesConfig(near="drop"), privacy=Privacy(redact=kinds))


def limit(spec: dict[str, Any]) -> Work:
    """A plain loop: words beyond need cut away, batches tokenised, examples made by hand."""
    import numpy as np
    import tensorflow as tf
    import tensorflow_text as tf_text

    from tpuline.components.preprocess.sharding.records import encode_examples

    words = Path(spec["vocabulary"], "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    start, end, room = words.index("[CLS]"), words.index("[SEP]"), spec["length"] - 2
    normal = tf_text.FastBertNormalizer(lower_case_nfd_strip_accents=True)
    pieces = tf_text.FastWordpieceTokenizer(
        words, token_out_type=tf.int32, support_detokenization=False
    )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def tokenize(texts: Any) -> Any:
        tokens = pieces.tokenize(normal.normalize(texts))[:, :room]
        edge = tf.ones([tokens.nrows(), 1], tf.int32)
        ids = tf.concat([edge * start, tokens, edge * end], axis=1)
        return ids.values, ids.row_lengths()

    def run() -> int:
        count = 0
        with tf.io.TFRecordWriter(f"{spec['out']}/all.tfrecord") as writer:
            for batch in batches(read_rows(spec["source"])):
                # Every word makes a token.
                cut = [" ".join(_TAG.sub(" ", text).split(None, room)[:room]) for text, _ in batch]
                values, lengths = tokenize(cut)
                labels = np.array([label for _, label in batch]), np.ones(len(batch), np.int64)
                features = {"label": labels, "token_ids": (values.numpy(), lengths.numpy())}
                for example in encode_examples(features):
                    writer.write(example)
                count += len(batch)
        return count

    return run


def beam_kerashub(spec: dict[str, Any]) -> Work:
    """What one writes first: Beam, a row at a time, the tokenizer called eagerly."""
    import apache_beam as beam
    import keras_hub
    import tensorflow as tf
    from apache_beam.options.pipeline_options import PipelineOptions

    def integers(values: list[int]) -> Any:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    class Tokenize(beam.DoFn):  # type: ignore[misc]
        def setup(self) -> None:
            path = f"{spec['vocabulary']}/vocab.txt"
            self.tokenizer = keras_hub.models.BertTokenizer(path, lowercase=True)

        def process(self, row: tuple[str, int]) -> Iterator[bytes]:
            text, label = row
            ids = [int(i) for i in self.tokenizer(text)][: spec["length"] - 2]
            ids = [self.tokenizer.cls_token_id, *ids, self.tokenizer.sep_token_id]
            features = {"token_ids": integers(ids), "label": integers([label])}
            example = tf.train.Example(features=tf.train.Features(feature=features))
            yield example.SerializeToString()

    def run() -> int:
        with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
            rows = pipeline | beam.Create([spec["source"]]) | beam.FlatMap(read_rows)
            examples = rows | beam.MapTuple(lambda text, label: (clean(text), label))
            examples = examples | beam.ParDo(Tokenize())
            examples | beam.io.WriteToTFRecord(f"{spec['out']}/part", num_shards=4)
        return sum(1 for _ in read_rows(spec["source"]))

    return run


def _bert_tokenizer(spec: dict[str, Any]) -> Any:
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer(f"{spec['vocabulary']}/vocab.txt", lowercase=True)
    tokenizer.enable_truncation(spec["length"])
    return tokenizer


def hf_map(spec: dict[str, Any], num_proc: int) -> Work:
    """`datasets.map` over batches. Its reading of the CSV is not counted."""
    import datasets

    datasets.disable_progress_bars()
    tokenizer = _bert_tokenizer(spec)
    raw = datasets.load_dataset(
        "csv", data_files=spec["source"], split="train", cache_dir=f"{spec['out']}/cache"
    )

    def encode(rows: dict[str, list[Any]]) -> dict[str, list[list[int]]]:
        encoded = tokenizer.encode_batch([clean(text) for text in rows["text"]])
        return {"token_ids": [one.ids for one in encoded]}

    def run() -> int:
        mapped = raw.map(
            encode,
            batched=True,
            num_proc=num_proc if num_proc > 1 else None,
            remove_columns=["text"],
            load_from_cache_file=False,
        )
        mapped.save_to_disk(f"{spec['out']}/arrow", num_shards=4)
        return len(mapped)

    return run


def tfds_builder(spec: dict[str, Any]) -> Work:
    """A builder of TensorFlow Datasets that yields tokenised rows; it shuffles and shards them."""
    import numpy as np
    import tensorflow as tf  # noqa: F401
    import tensorflow_datasets as tfds

    tokenizer = _bert_tokenizer(spec)
    tfds.disable_progress_bar()

    class Texts(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = Path(spec["out"])

        def _info(self) -> Any:
            ids = tfds.features.Tensor(shape=(None,), dtype=np.int64)
            features = tfds.features.FeaturesDict({"token_ids": ids, "label": np.int64})
            return self.dataset_info_from_configs(features=features)

        def _split_generators(self, dl_manager: Any) -> Any:
            return {"train": self._generate_examples()}

        def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
            numbers = itertools.count()
            for batch in batches(read_rows(spec["source"])):
                encoded = tokenizer.encode_batch([clean(text) for text, _ in batch])
                for (_, label), one in zip(batch, encoded, strict=True):
                    yield next(numbers), {"token_ids": one.ids, "label": label}

    builder = Texts(data_dir=spec["out"])

    def run() -> int:
        builder.download_and_prepare()
        return int(builder.info.splits["train"].num_examples)

    return run


KINDS: dict[str, Callable[[dict[str, Any]], Work]] = {
    "ours": ours_bare,
    "ours_all": ours_all,
    "ours_private": ours_private,
    "beam_kerashub": beam_kerashub,
    "hf_map_1": lambda spec: hf_map(spec, 1),
    "hf_map_2": lambda spec: hf_map(spec, 2),
    "tfds_builder": tfds_builder,
    "limit": limit,
    "ours_1_process": lambda spec: ours_bare(spec, runner="processes", num_workers=1),
    "ours_2_processes": lambda spec: ours_bare(spec, runner="processes", num_workers=2),
    "ours_learnt": ours,
}


def main() -> None:
    kind, spec = sys.argv[1], json.loads(sys.argv[2])
    work = KINDS[kind](spec)
    memory = Memory()
    before_mb = peak_mb(os.getpid())
    memory.start()
    cpu, wall = cpu_seconds(), time.perf_counter()
    num_rows = work()
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    memory.done.set()
    memory.join()
    memory.look()
    facts = {
        "written": num_rows,
        "wall_s": wall,
        "cpu_s": cpu,
        "before_mb": before_mb,
        "peak_mb": sum(memory.peaks.values()),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
