"""How to train: the section `train` of a config, and what others who train fill in for it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from ..modeling import BertSpec, ModelSpec
from .sinks import MlflowConfig

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


@dataclass(frozen=True, kw_only=True)
class Config:
    """How to train. The learning rate rises over `warmup_share`, then falls linearly to 0."""

    model: Annotated[ModelSpec, Field(discriminator="type")] = field(default_factory=BertSpec)
    epochs: int = 3
    global_batch_size: int = 32  # rows a step, over all replicas
    learning_rate: float | None = None  # at its peak; null: 5e-5 for all of a preset, else 5e-4
    warmup_share: float = 0.1  # of all steps
    weight_decay: float = 0.01  # not on biases and layer norms
    clip_norm: float = 1.0  # of the gradient of the global batch
    # Of an average of the weights over the steps, of about the last 1 / (1 - ema_decay) of them: it
    # is judged on validation and kept in place of the weights. null: none, as 0.999 costs memory.
    ema_decay: float | None = None
    # On validation: which epoch's weights are kept. Of multi-label data accuracy is over labels.
    best_by: Literal["loss", "accuracy"] = "loss"
    early_stopping_patience: int | None = 2  # epochs without a better one; null: never stop
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
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(
                    f"{name}: must be a positive number; received {value}; leave it out for the "
                    "usual one"
                )
        if not 0 <= self.warmup_share < 1:
            raise ValueError(
                f"warmup_share: must be in [0, 1); received {self.warmup_share}; 0.1 is usual"
            )
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(
                f"ema_decay: must lie between 0 and 1; received {self.ema_decay}; 0.999 is usual, "
                "null averages nothing"
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

    @property
    def peak_learning_rate(self) -> float:
        """The one that is asked for, or the usual one: small where pretrained weights move."""
        if self.learning_rate is not None:
            return self.learning_rate
        model: Any = self.model
        tuned = getattr(model, "preset", None) is not None
        return 5e-5 if tuned and not (model.freeze_backbone or model.lora_rank) else 5e-4


def _hint(name: str) -> str:
    if name == "early_stopping_patience":
        return "null never stops early"
    return "null: by the hardware" if name == "steps_per_call" else f"e.g. {_default(name)}"


def _default(name: str) -> Any:
    return getattr(Config, name)
