"""ShardSet -> TrainedModel: trains a classifier and keeps the weights of its best epoch."""

from __future__ import annotations

import hashlib
import itertools
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from ..contracts import ShardSet, TrainedModel
from ..modeling import BertSpec, ModelSpec
from ..stage import Context

VERSION = 1
USES = frozenset({"seed", "hardware"})


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
    buckets: tuple[int, ...] = ()  # widths of batches; empty: all as wide as sequence_length
    shuffle_rows: int = 20_000  # held in memory, serialised

    def __post_init__(self) -> None:
        for name in ("epochs", "global_batch_size", "shuffle_rows", "early_stopping_patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                hint = "null never stops early" if "early" in name else f"e.g. {_default(name)}"
                raise ValueError(f"{name}: must be at least 1; received {value}; {hint}")
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
        if any(low >= high for low, high in itertools.pairwise((0, *self.buckets))):
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
    """Raises `ValueError` for a preset folder that is not there. Names are left to KerasHub."""
    preset = getattr(config.model, "preset", None)
    if preset is None or "://" in preset or Path(preset).expanduser().is_dir():
        return
    if os.sep in preset or preset.startswith((".", "~")):
        raise ValueError(
            f"train.model.preset: must be a KerasHub name or an existing folder; received "
            f"{preset!r}; a folder is looked for from {Path.cwd()}"
        )


def identity(config: Config, data_dir: Path) -> Any:
    """The config, with the content of a local preset in place of its path."""
    facts = asdict(config)
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
    lane = ctx.hardware.start()
    if config.global_batch_size % lane.num_replicas:
        raise ValueError(
            f"train.global_batch_size: must be a multiple of {lane.num_replicas}, the replicas of "
            f"{lane.description}; received {config.global_batch_size}; e.g. "
            f"{lane.num_replicas * max(1, config.global_batch_size // lane.num_replicas)}"
        )
    if lane.strategy_name == "tpu" and config.buckets:
        raise ValueError(
            "train.buckets: must be [] on a TPU, where a step of several widths would have shapes "
            f"that are not static; received {list(config.buckets)}; all rows are then padded to "
            "preprocess.sequence_length"
        )
    for name in ("train", "validation"):
        if inputs.shards.split(name).num_examples == 0:
            raise ValueError(
                f"train: the {name} split must hold rows; received none; give preprocess.source a "
                f"larger {name} source or raise preprocess.cut"
            )
    from . import loop

    return loop.train(
        config, inputs.shards, workdir=ctx.workdir, seed=ctx.seed, lane=lane, log=ctx.log
    )


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
