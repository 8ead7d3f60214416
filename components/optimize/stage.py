"""ShardSet, TrainedModel -> TrainedModel: the same model made smaller, one artifact a variant."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from ..contracts import ShardSet, TrainedModel
from ..modeling import ModelSpec
from ..stage import Context
from .variants import BASE, Cast, Distill, Keep, Prune, Quantize, Shrink, Variant

VERSION = 1
USES = frozenset({"seed", "hardware"})
WORKERS = True

WEIGHTS_FILE = "model.weights.h5"

PACKAGES = {
    "onnx": ("tf2onnx", "onnxruntime"),
    "litert": ("ai_edge_litert",),
    "openvino": ("openvino",),
}
"""That a format takes to be written and to be run."""

NOT_SERVED: dict[tuple[str | None, str], str] = {
    ("int8", "openvino"): "OpenVINO cuts their products off at 127",
    ("bfloat16", "onnx"): "ONNX Runtime does not load what becomes of them",
}
"""Weights and formats that do not go together (tf2onnx 1.17, OpenVINO 2026.4), and why."""

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
        in_few_bits: dict[str, bool] = {}  # of the variants so far
        for name, variant in self.variants.items():
            earlier = getattr(variant, "of", None)
            if earlier is not None and earlier not in in_few_bits:
                raise ValueError(
                    f"variants.{name}.of: must be an earlier variant, or null; received "
                    f"{earlier!r}; earlier are {list(in_few_bits)}"
                )
            rounds, rounded = (
                isinstance(variant, Quantize | Cast),
                in_few_bits.get(earlier or BASE, False),
            )
            if rounds and rounded:
                raise ValueError(
                    f"variants.{name}.of: must be of 32 bits, for type {variant.type} rounds its "
                    f"weights; received {earlier!r}, which is rounded already; take what that is of"
                )
            in_few_bits[name] = rounds or rounded
        self._refuse_what_a_format_cannot_serve()

    def _refuse_what_a_format_cannot_serve(self) -> None:
        weights: dict[str, str | None] = {}  # of the variants so far
        for name, variant in self.variants.items():
            match variant:
                case Quantize():
                    weights[name] = variant.mode
                case Cast():
                    weights[name] = variant.dtype
                case _:
                    weights[name] = weights.get(getattr(variant, "of", None) or BASE)
            if why := NOT_SERVED.get((weights[name], variant.serve_as)):
                raise ValueError(
                    f"variants.{name}.serve_as: must be another for weights of {weights[name]}, "
                    f"for {why}; received {variant.serve_as!r}; take saved_model or xla"
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


def check(config: Config, data_dir: Any) -> None:
    """Raises `ValueError` for a format whose packages are not installed."""
    for name, variant in config.variants.items():
        for package in PACKAGES.get(variant.serve_as, ()):
            if find_spec(package) is None:
                raise ValueError(
                    f"optimize.variants.{name}.serve_as: {variant.serve_as} needs packages that "
                    f"are not installed ({package}); pip install 'tpuline[{variant.serve_as}]'"
                )


def made_of(config: Variant) -> str:
    """The variant that it is made of."""
    return getattr(config, "of", None) or BASE


def identity(config: Variant, data_dir: Any) -> Any:
    """The config; what it is made of is an input, whatever its name."""
    facts = asdict(config)
    facts.pop("of", None)
    return facts


def run(config: Variant, inputs: Inputs, ctx: Context) -> TrainedModel:
    """Makes one variant: its weights, and what it takes to load them.

    Raises:
        ValueError: the model has not what the variant changes.
        FloatingPointError: the loss of a variant that is trained is no longer a finite number.
    """
    match config:
        case Keep():
            made = _kept(inputs, ctx)
        case Quantize() | Cast():
            made = _stored_otherwise(config, inputs, ctx)
        case Prune() | Shrink() | Distill():
            made = _learnt(config, inputs, ctx)
    return replace(made, serve_as=config.serve_as)


def _kept(inputs: Inputs, ctx: Context) -> TrainedModel:
    trained = inputs.model
    shutil.copyfile(Path(trained.uri) / trained.weights_file, ctx.workdir / WEIGHTS_FILE)
    return replace(trained, uri=str(ctx.workdir), weights_file=WEIGHTS_FILE)


def _stored_otherwise(config: Quantize | Cast, inputs: Inputs, ctx: Context) -> TrainedModel:
    from ..restoring import fresh, quantize, restored

    shards, made = inputs.shards, inputs.model
    model = restored(made, shards, ctx.hardware)
    if isinstance(config, Quantize):
        quantize(model, config.mode)
        made = replace(made, quantization=config.mode)
    else:
        weights = model.get_weights()
        made = replace(made, dtype=config.dtype)
        model = fresh(made, shards, ctx.hardware)
        model.set_weights(weights)
    model.save_weights(ctx.workdir / WEIGHTS_FILE)
    return replace(
        made,
        uri=str(ctx.workdir),
        weights_file=WEIGHTS_FILE,
        num_parameters=model.count_params(),
    )


def _learnt(config: Prune | Shrink | Distill, inputs: Inputs, ctx: Context) -> TrainedModel:
    from ..restoring import restored
    from . import distill, learning, prune, shrink

    shards, trained = inputs.shards, inputs.model
    ctx.hardware.start()  # before TensorFlow is used: it sets devices up
    model = restored(trained, shards, ctx.hardware)
    spec: ModelSpec = trained.model
    lesson: Any
    match config:
        case Prune():
            lesson = prune.PruningLesson(config, model.get_weights())
        case Shrink():
            spec, weights = shrink.shrunk(config, trained, model, shards)
            lesson = shrink.ShrunkLesson(weights)
        case Distill():
            spec = distill.student(config, trained)
            start = distill.first_weights(config, trained, model)
            lesson = distill.DistillingLesson(config, trained, shards, start)
    return learning.train(config, spec, shards, trained, ctx, lesson)
