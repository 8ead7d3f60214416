"""Config of a variant that is trained on -> a config of training: the rest is as the model's."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from ..contracts import ShardSet, TrainedModel
from ..modeling import ModelSpec
from ..stage import Context
from ..training.config import Config
from ..training.hosts import seen_by_all_hosts
from .variants import Distill, Prune, Shrink

Learnt = Prune | Shrink | Distill


def training_config(variant: Learnt, trained: TrainedModel, model: ModelSpec) -> Config:
    """The same batches as the model was trained with, other epochs and rate."""
    return Config(
        model=model,
        epochs=variant.epochs,
        learning_rate=variant.learning_rate,
        global_batch_size=trained.global_batch_size,
        buckets=trained.batch_widths,
        constant_tokens=len(set(trained.batch_rows)) > 1,
        accumulate_steps=variant.accumulate_steps,
        xla=variant.xla,
        early_stopping_patience=None,
    )


def train(
    variant: Learnt,
    model: ModelSpec,
    shards: ShardSet,
    trained: TrainedModel,
    ctx: Context,
    lesson: Any,
) -> TrainedModel:
    """Trains in `ctx.workdir`, or goes on with an interrupted training."""
    from ..training import loop
    from ..training.checkpoint import Checkpoints

    lane = ctx.hardware.start()
    return loop.train(
        training_config(variant, trained, model),
        seen_by_all_hosts(shards, lane, ctx),
        workdir=ctx.workdir,
        checkpoints=Checkpoints(
            ctx.unfinished,
            keep=1,
            identity=_identity(variant, trained, shards, ctx.seed),
            writes=lane.worker_index == 0,
            log=ctx.log,
        ),
        seed=ctx.seed,
        lane=lane,
        log=ctx.log,
        lesson=lesson,
    )


def _identity(variant: Learnt, trained: TrainedModel, shards: ShardSet, seed: int) -> str:
    """What a checkpoint must be of to be gone on from."""
    rows = [[shard.sha256 for shard in split.shards] for split in shards.splits]
    facts = [asdict(variant), asdict(trained) | {"uri": ""}, seed, rows]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
