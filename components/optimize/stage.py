"""ShardSet, TrainedModel -> TrainedModel: the same model made smaller, one artifact a variant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ..contracts import ShardSet, TrainedModel
from ..stage import Context, Hardware
from .variants import BASE, Cast, Quantize, Variant

if TYPE_CHECKING:
    import keras

VERSION = 1

WEIGHTS_FILE = "model.weights.h5"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Variants of the model by names of your own. Each is exported and judged like the model."""

    variants: Mapping[str, Annotated[Variant, Field(discriminator="type")]] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        for name in self.variants:
            if not _NAME.fullmatch(name) or name == BASE:
                raise ValueError(
                    "variants: names must be at most 40 letters, digits, '_', '-' and '.', and not "
                    f"{BASE!r}, the model as it was trained; received {name!r}; e.g. 'int8'"
                )


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The model, and the data that it was trained on."""

    shards: ShardSet
    model: TrainedModel


Output = TrainedModel


def variants(config: Config) -> dict[str, Variant]:
    """The config of each variant by its name."""
    return dict(config.variants)


def run(config: Variant, inputs: Inputs, ctx: Context) -> TrainedModel:
    """Makes one variant: its weights, and what it takes to load them."""
    model, made = _made(config, inputs, ctx.hardware)
    model.save_weights(ctx.workdir / WEIGHTS_FILE)
    return replace(
        made,
        uri=str(ctx.workdir),
        weights_file=WEIGHTS_FILE,
        num_parameters=model.count_params(),
    )


def _made(config: Variant, inputs: Inputs, hardware: Hardware) -> tuple[keras.Model, TrainedModel]:
    from ..restoring import fresh, quantize, restored

    shards, trained = inputs.shards, inputs.model
    model = restored(trained, shards, hardware)
    match config:
        case Quantize():
            quantize(model, config.mode)
            return model, replace(trained, quantization=config.mode)
        case Cast():
            weights = model.get_weights()
            made = replace(trained, dtype=config.dtype)
            model = fresh(made, shards, hardware)
            model.set_weights(weights)
            return model, made
