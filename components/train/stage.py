"""ShardSet -> TrainedModel: trains a classifier and keeps the weights of its best epoch."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from .. import files
from ..contracts import ShardSet, TrainedModel
from ..modeling import BertSpec, ModelSpec
from ..preset_files import check_preset
from ..stage import Context, Lane
from .sinks import MlflowConfig

VERSION = 2
USES = frozenset({"seed", "hardware"})
WORKERS = True


_COUNTS = (
    "epochs",
    "global_batch_size",
    "shuffle_rows",
    "early_stopping_patience",
    "accumulate_steps",
    "steps_per_call",
    "checkpoint_every",
    "keep_checkpoints",
)
_NO_DIFFERENCE = ("steps_per_call", "checkpoint_every", "keep_checkpoints", "profile", "mlflow")


@dataclass(frozen=True, kw_only=True)
class Config:
    """How to train. The learning rate rises over `warmup_share`, then falls linearly to 0."""

    model: Annotated[ModelSpec, Field(discriminator="type")] = field(default_factory=BertSpec)
    epochs: int = 3
    global_batch_size: int = 32  # rows a step, over all replicas
    learning_rate: float = 5e-4  # at its peak; presets want about 5e-5
    warmup_share: float = 0.1  # of all steps
    weight_decay: float = 0.01  # not on biases and layer norms
    clip_norm: float = 1.0  # of the gradient of the global batch
    early_stopping_patience: int | None = 2  # epochs without a lower val_loss; null: never stop
    # Widths of batches, or how many of them may be chosen to pad the rows least; empty: one,
    # sequence_length. A chip compiles forward and backward for each width.
    buckets: int | tuple[int, ...] = ()
    constant_tokens: bool = False  # narrower batches take more rows, as wide as the widest in all
    accumulate_steps: int = 1  # parts that a replica's batch is cut into to save memory
    xla: bool = False  # CPUs and GPUs: minutes of compiling for faster steps; a TPU always does
    shuffle_rows: int = 20_000  # held in memory, serialised
    steps_per_call: int | None = None  # run by the devices on their own; null: by the hardware
    checkpoint_every: int = 500  # steps; also after each epoch and on SIGTERM
    keep_checkpoints: int = 2
    max_rollbacks: int = 2  # windows of steps that may be left out because the loss broke
    mlflow: MlflowConfig | None = None  # a second place for the curves; needs the extra mlflow
    profile: bool = False  # two windows of steady steps, for TensorBoard

    def __post_init__(self) -> None:
        for name in _COUNTS:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: must be at least 1; received {value}; {_hint(name)}")
        if self.max_rollbacks < 0:
            raise ValueError(
                f"max_rollbacks: must be at least 0; received {self.max_rollbacks}; 0 fails at once"
            )
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ValueError(
                    f"{name}: must be a positive number; received {value}; e.g. {_default(name)}"
                )
        if not 0 <= self.warmup_share < 1:
            raise ValueError(
                f"warmup_share: must be in [0, 1); received {self.warmup_share}; 0.1 is usual"
            )
        if not 0 <= self.weight_decay < 1:
            raise ValueError(
                f"weight_decay: must be in [0, 1); received {self.weight_decay}; 0 turns it off"
            )
        if isinstance(self.buckets, int):
            if self.buckets < 1:
                raise ValueError(
                    f"buckets: must be at least 1; received {self.buckets}; [] is one width"
                )
        elif any(low >= high for low, high in itertools.pairwise((0, *self.buckets))):
            raise ValueError(
                f"buckets: must be positive and increasing; received {list(self.buckets)}; "
                "e.g. [16, 32, 64], or [] for one width"
            )


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the stage reads."""

    shards: ShardSet


Output = TrainedModel


def check(config: Config, data_dir: Path) -> None:
    """Raises `ValueError` for a preset folder that is not there, or is not a whole one. Names are
    left to KerasHub.
    """
    preset = getattr(config.model, "preset", None)
    if preset is None:
        return
    looks_like_path = os.sep in preset or preset.startswith((".", "~"))
    if looks_like_path and "://" not in preset and not Path(preset).expanduser().is_dir():
        raise ValueError(
            f"train.model.preset: must be a KerasHub name or an existing folder; received "
            f"{preset!r}; a folder is looked for from {Path.cwd()}"
        )
    check_preset(preset)


def identity(config: Config, data_dir: Path) -> Any:
    """The config, with the content of a local preset in place of its path.

    What makes no difference to the weights is left out.
    """
    facts = asdict(config)
    for name in _NO_DIFFERENCE:
        del facts[name]
    preset = getattr(config.model, "preset", None)
    if preset is not None and Path(preset).expanduser().is_dir():
        facts["model"]["preset"] = _digest(Path(preset).expanduser())
    return facts


def run(config: Config, inputs: Inputs, ctx: Context) -> TrainedModel:
    """Trains in `ctx.workdir`: best.weights.h5 and TensorBoard scalars under tensorboard/.

    Raises:
        ValueError: the batch does not divide among the replicas, or the model does not fit the
            shards.
        FloatingPointError: the loss is no longer a finite number.
    """
    if inputs.shards.task != "classification":
        raise ValueError(
            "preprocess.task: must be classification, the one task that can be trained so far; "
            f"received {inputs.shards.task!r}; its shards are made: run with --until preprocess"
        )
    for name in ("train", "validation"):
        if inputs.shards.split(name).num_examples == 0:
            raise ValueError(
                f"train: the {name} split must hold rows; received none; give preprocess.source a "
                f"larger {name} source or raise preprocess.cut"
            )
    lane = ctx.hardware.start()
    parts = lane.num_replicas * config.accumulate_steps
    if config.global_batch_size % parts:
        raise ValueError(
            f"train.global_batch_size: must be a multiple of {parts}, the replicas of "
            f"{lane.description} times train.accumulate_steps; received "
            f"{config.global_batch_size}; e.g. {parts * max(1, config.global_batch_size // parts)}"
        )
    from . import loop
    from .checkpoint import Checkpoints

    return loop.train(
        config,
        _seen_by_all_hosts(inputs.shards, lane, ctx),
        workdir=ctx.workdir,
        checkpoints=Checkpoints(
            ctx.unfinished,
            keep=config.keep_checkpoints,
            identity=_identity(config, inputs.shards, ctx),
            writes=lane.worker_index == 0,
            log=ctx.log,
        ),
        seed=ctx.seed,
        lane=lane,
        log=ctx.log,
        user_callbacks=ctx.callbacks,
    )


def _seen_by_all_hosts(shards: ShardSet, lane: Lane, ctx: Context) -> ShardSet:
    """The shards where all that read them find them; one process may lead several hosts."""
    if lane.num_hosts == lane.num_workers:
        return shards
    place = ctx.everywhere(shards.uri)
    if not files.is_remote(place):
        raise ValueError(
            f"--root: must be in a bucket for {lane.description}, for each host reads its share of "
            f"the shards itself; received {place}; run with --root gs://BUCKET/runs, or take a "
            "slice of one host, e.g. v5e-8"
        )
    return replace(shards, uri=place)


def _identity(config: Config, shards: ShardSet, ctx: Context) -> str:
    """What a checkpoint must be of to be gone on from."""
    rows = [[shard.sha256 for shard in split.shards] for split in shards.splits]
    facts = [VERSION, identity(config, Path()), ctx.seed, shards.tokenizer_fingerprint, rows]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _hint(name: str) -> str:
    if name == "early_stopping_patience":
        return "null never stops early"
    return "null: by the hardware" if name == "steps_per_call" else f"e.g. {_default(name)}"


def _default(name: str) -> Any:
    return getattr(Config, name)


def _digest(folder: Path) -> str:
    """sha256 over names and contents of all files below a folder."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return f"sha256:{total.hexdigest()}"
