"""One training of `train.py`: a small BERT on stored rows, in this process, a turn at a time.

    python train_cases.py KIND SPEC      SPEC is JSON: the fields of `Spec`

A line on stdin is a turn. The first one, in which everything is built and traced, and the last one,
which tells the accuracy on the validation rows, are not counted. Each turn prints `RESULT` and
JSON. Kinds that begin with `torch` run without this project, in an environment of their own.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

LAYERS, WIDTH, HEADS = 2, 128, 2
DROPOUT = 0.1
SEED = 1
PEAK, WARMUP_SHARE, DECAY, CLIP_NORM = 5e-4, 0.1, 0.01, 1.0
NOT_DECAYED = ("bias", "beta", "gamma")
WARM_SHARE = 6  # one in so many rows is for the first turn


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What is trained on, and in how many turns."""

    shards: str  # JSON of a ShardSet, for kinds that have TensorFlow
    arrays: str  # the same rows: .npz of ids, lengths and labels of each split
    batch_size: int
    rounds: int
    settings: dict[str, Any]  # more fields of the train stage's config


class Turns:
    """Counts steps, and stops after each turn until there is a next one."""

    def __init__(self, spec: Spec, num_rows: int) -> None:
        self._spec, self._num_rows = spec, num_rows
        self._marks: list[int] = []
        self._step = 0
        self._wait()

    def done(self, step: int, num_steps: int) -> None:
        """Call it when `step` of `num_steps` is over: each but the last few of a full batch."""
        if not self._marks:
            warm = -(-num_steps // WARM_SHARE)
            share = (num_steps - warm) / self._spec.rounds
            self._marks = [warm + round(share * i) for i in range(self._spec.rounds + 1)]
        if step < self._marks[0]:
            return
        while self._marks and step >= self._marks[0]:  # windows are longer than a short turn
            self._marks.pop(0)
        before, self._step = self._step, step
        first, end = (self._spec.batch_size * n for n in (before, step))
        self.tell(rows=(self._num_rows if step == num_steps else end) - first)
        self._marks = self._marks or [sys.maxsize]

    def tell(self, **facts: Any) -> None:
        """Ends the turn, and waits for the next."""
        wall, cpu = time.perf_counter() - self._wall, cpu_seconds() - self._cpu
        print("RESULT", json.dumps({"wall_s": wall, "cpu_s": cpu, **facts}), flush=True)
        self._wait()

    def _wait(self) -> None:
        if not sys.stdin.readline():
            sys.exit(0)
        self._wall, self._cpu = time.perf_counter(), cpu_seconds()


def cpu_seconds() -> float:
    """Of all threads of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def shard_set(spec: Spec) -> Any:
    from pydantic import TypeAdapter

    from tpuline.components.contracts import ShardSet

    return TypeAdapter(ShardSet).validate_json(Path(spec.shards).read_bytes())


def ours(spec: Spec) -> None:
    """The train stage from end to end; its log is what marks the time."""
    from tpuline.components.modeling import BertSpec
    from tpuline.components.stage import Context
    from tpuline.components.train import stage
    from tpuline.pipeline.hardware.config import HardwareConfig
    from tpuline.pipeline.hardware.strategy import ConfiguredHardware

    shards = shard_set(spec)
    turns = Turns(spec, shards.split("train").num_examples)

    class Log:
        def info(self, message: str, **facts: Any) -> None: ...
        def warning(self, message: str, **facts: Any) -> None:
            print(message, file=sys.stderr)

        def progress(
            self, task: str, completed: float, total: float | None, note: str = ""
        ) -> None:
            turns.done(int(completed), int(total or 0))

    config = stage.Config(
        model=BertSpec(
            num_layers=LAYERS,
            num_heads=HEADS,
            hidden_dim=WIDTH,
            intermediate_dim=4 * WIDTH,
            dropout=DROPOUT,
        ),
        epochs=1,
        global_batch_size=spec.batch_size,
        learning_rate=PEAK,
        warmup_share=WARMUP_SHARE,
        weight_decay=DECAY,
        clip_norm=CLIP_NORM,
        **spec.settings,
    )
    with tempfile.TemporaryDirectory() as folder:
        context = Context(
            workdir=Path(folder),
            data_dir=Path(folder),
            seed=SEED,
            hardware=ConfiguredHardware(HardwareConfig(strategy="cpu", precision="float32")),
            log=Log(),
        )
        trained = stage.run(config, stage.Inputs(shards=shards), context)
    verdict = trained.input
    note = (
        f"batches as wide as {', '.join(map(str, trained.batch_widths))}: "
        f"{trained.padding_share:.0%} padding, {trained.padding_share_of_one_width:.0%} were all "
        f"rows {shards.sequence_length} wide; {trained.examples_per_s:,.0f} examples/s by its own "
        "clock"
    )
    if verdict is not None:
        note += f", of which {verdict.wait_share:.0%} waiting for input"
    turns.tell(accuracy=trained.history[-1].val_accuracy, note=note)


def keras_fit(spec: Spec) -> None:
    """KerasHub's classifier and `fit`, every row padded to the sequence length."""
    import keras
    import keras_hub
    import tensorflow as tf

    from tpuline.components.training.optimizer import LinearSchedule

    shards = shard_set(spec)
    num_rows = shards.split("train").num_examples
    turns = Turns(spec, num_rows)
    keras.utils.set_random_seed(SEED)
    num_steps = math.ceil(num_rows / spec.batch_size)
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=shards.vocabulary_size,
        num_layers=LAYERS,
        num_heads=HEADS,
        hidden_dim=WIDTH,
        intermediate_dim=4 * WIDTH,
        dropout=DROPOUT,
        max_sequence_length=shards.sequence_length,
    )
    model = keras_hub.models.BertTextClassifier(
        backbone, num_classes=len(shards.label_names), dropout=DROPOUT, preprocessor=None
    )
    optimizer = keras.optimizers.AdamW(
        LinearSchedule(
            peak=PEAK, warmup_steps=round(WARMUP_SHARE * num_steps), total_steps=num_steps
        ),
        weight_decay=DECAY,
        global_clipnorm=CLIP_NORM,
    )
    optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    told = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: turns.done(batch + 1, num_steps)
    )
    rows = padded_rows(tf, shards, "train").shuffle(20_000, seed=SEED).batch(spec.batch_size)
    model.fit(rows.prefetch(tf.data.AUTOTUNE), epochs=1, callbacks=[told], verbose=0)
    validation = padded_rows(tf, shards, "validation").batch(spec.batch_size)
    turns.tell(accuracy=model.evaluate(validation, verbose=0)[1])


def padded_rows(tf: Any, shards: Any, split: str) -> Any:
    """(features, label) of each stored row, as a tutorial would read them."""
    length = shards.sequence_length
    files = [str(Path(shards.uri, shard.records_file)) for shard in shards.split(split).shards]
    stored = {
        "token_ids": tf.io.RaggedFeature(tf.int64),
        "label": tf.io.FixedLenFeature((), tf.int64),
    }

    def parse(serialized: Any) -> Any:
        row = tf.io.parse_single_example(serialized, stored)
        ids = tf.cast(row["token_ids"], tf.int32)
        room = [[0, length - tf.size(ids)]]
        features = {
            "token_ids": tf.ensure_shape(tf.pad(ids, room), [length]),
            "padding_mask": tf.ensure_shape(tf.pad(tf.ones_like(ids), room), [length]),
            "segment_ids": tf.zeros([length], tf.int32),
        }
        return features, tf.cast(row["label"], tf.int32)

    return tf.data.TFRecordDataset(files).map(parse, num_parallel_calls=tf.data.AUTOTUNE)


def torch_loop(spec: Spec, *, dynamic: bool) -> None:
    """The same in PyTorch; `dynamic` pads to the longest row of each batch."""
    import torch
    from transformers import get_linear_schedule_with_warmup

    torch.manual_seed(SEED)
    train, validation, facts = stored_rows(spec.arrays)
    turns = Turns(spec, len(train))
    model = torch_model(facts)
    decayed = [p for name, p in model.named_parameters() if is_decayed(name)]
    others = [p for name, p in model.named_parameters() if not is_decayed(name)]
    optimizer = torch.optim.AdamW(
        [{"params": decayed}, {"params": others, "weight_decay": 0.0}], lr=PEAK, weight_decay=DECAY
    )
    width = None if dynamic else facts["sequence_length"]

    def batches(rows: list[Any], shuffle: bool) -> Any:
        return torch.utils.data.DataLoader(
            rows,
            batch_size=spec.batch_size,
            shuffle=shuffle,
            collate_fn=lambda part: collated(torch, part, width),
        )

    num_steps = math.ceil(len(train) / spec.batch_size)
    schedule = get_linear_schedule_with_warmup(
        optimizer, round(WARMUP_SHARE * num_steps), num_steps
    )
    for step, batch in enumerate(batches(train, True), start=1):
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        turns.done(step, num_steps)
    model.eval()
    with torch.inference_mode():
        hits = sum(
            int((model(**batch).logits.argmax(-1) == batch["labels"]).sum())
            for batch in batches(validation, False)
        )
    turns.tell(accuracy=hits / len(validation))


def is_decayed(name: str) -> bool:
    return not name.endswith("bias") and "LayerNorm" not in name


def torch_model(facts: dict[str, int]) -> Any:
    import transformers

    config = transformers.BertConfig(
        vocab_size=facts["vocabulary_size"],
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        hidden_act="gelu_pytorch_tanh",  # KerasHub's
        hidden_dropout_prob=DROPOUT,
        attention_probs_dropout_prob=DROPOUT,
        max_position_embeddings=facts["sequence_length"],
        num_labels=facts["num_labels"],
    )
    return transformers.BertForSequenceClassification(config).train()


def stored_rows(path: str) -> tuple[list[Any], list[Any], dict[str, int]]:
    """(ids, label) of each row of train and validation, and the sizes that a model needs."""
    import numpy as np

    with np.load(path) as arrays:
        sizes = ("vocabulary_size", "sequence_length", "num_labels")
        facts = {name: int(arrays[name]) for name in sizes}
        splits = [list(_rows(arrays, name)) for name in ("train", "validation")]
    return splits[0], splits[1], facts


def _rows(arrays: Any, split: str) -> Iterator[tuple[Any, int]]:
    import numpy as np

    ends = np.cumsum(arrays[f"{split}_lengths"])
    parts = np.split(arrays[f"{split}_ids"].astype(np.int64), ends[:-1])
    return zip(parts, arrays[f"{split}_labels"].tolist(), strict=True)


def collated(torch: Any, rows: list[tuple[Any, int]], width: int | None) -> dict[str, Any]:
    """A batch for `BertForSequenceClassification`; width None: as its longest row."""
    width = width or max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, (row, _) in enumerate(rows):
        ids[i, : len(row)] = torch.from_numpy(row)
        mask[i, : len(row)] = 1
    labels = torch.tensor([label for _, label in rows])
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


KINDS: dict[str, Callable[[Spec], None]] = {
    "ours": ours,
    "keras_fit": keras_fit,
    "torch_dynamic": lambda spec: torch_loop(spec, dynamic=True),
    "torch_fixed": lambda spec: torch_loop(spec, dynamic=False),
}


def main() -> None:
    KINDS[sys.argv[1]](Spec(**json.loads(sys.argv[2])))


if __name__ == "__main__":
    main()
