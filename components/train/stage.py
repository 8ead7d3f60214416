"""ShardSet -> TrainedModel: trains a classifier and keeps the weights of its best epoch."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..contracts import ShardSet, TrainedModel
from ..preset_files import check_preset
from ..stage import Context
from ..training.config import Config
from ..training.hosts import seen_by_all_hosts

VERSION = 3
USES = frozenset({"seed", "hardware"})
WORKERS = True


_NO_DIFFERENCE = ("steps_per_call", "checkpoint_every", "keep_checkpoints", "profile", "mlflow")


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
    facts["learning_rate"] = config.peak_learning_rate
    if config.ema_decay is None:  # keys are as they were before there was one
        del facts["ema_decay"]
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
    if inputs.shards.task == "language_model":
        raise ValueError(
            "preprocess.task: must be classification or multi_label, the tasks that can be trained "
            f"so far; received {inputs.shards.task!r}; its shards are made: run with --until "
            "preprocess"
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
    from ..training import loop
    from ..training.checkpoint import Checkpoints

    return loop.train(
        config,
        seen_by_all_hosts(inputs.shards, lane, ctx),
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
        seconds_at_peak=ctx.seconds_at_peak,
    )


def _identity(config: Config, shards: ShardSet, ctx: Context) -> str:
    """What a checkpoint must be of to be gone on from."""
    rows = [[shard.sha256 for shard in split.shards] for split in shards.splits]
    facts = [VERSION, identity(config, Path()), ctx.seed, shards.tokenizer_fingerprint, rows]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _digest(folder: Path) -> str:
    """sha256 over names and contents of all files below a folder."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return f"sha256:{total.hexdigest()}"
