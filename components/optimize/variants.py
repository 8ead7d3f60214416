"""What may be made of a trained model, each a config of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ..contracts import Format
from ..modeling import ModelSpec


@dataclass(frozen=True, kw_only=True)
class Keep:
    """The weights as they are, served in another way.

    `xla` compiles the part from tokens on, once for each shape. ONNX, LiteRT and OpenVINO take the
    same part in their own runtimes, and need the extra of their name; the tokenizer stays
    TensorFlow's, which plain texts go past (`serving.plain_texts`).
    """

    type: Literal["keep"] = "keep"
    serve_as: Format = "xla"
    of: str | None = None  # an earlier variant; null: the model as it was trained


@dataclass(frozen=True, kw_only=True)
class Quantize:
    """Weights of 8 or 4 bits, by a scale a column, without further training (Keras `quantize`).

    int8 also rounds what is multiplied with them, anew for each row. int4 saves place only.
    """

    type: Literal["quantize"] = "quantize"
    mode: Literal["int8", "int4"] = "int8"
    of: str | None = None  # as of Keep
    serve_as: Format = "saved_model"


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Weights and computation in 16 bits; logits and softmax stay float32.

    Halves the size. Faster only on chips that multiply it, which few CPUs do.
    """

    type: Literal["cast"] = "cast"
    dtype: Literal["bfloat16", "float16"] = "bfloat16"
    of: str | None = None  # as of Keep
    serve_as: Format = "saved_model"


@dataclass(frozen=True, kw_only=True)
class Prune:
    """The smallest kernel weights become zero, more and more of them while the rest is trained on.

    Zhu and Gupta 2017 (https://arxiv.org/abs/1710.01878). The share grows along a cubic curve and
    is reached after `ramp` of the steps. Zeros take as much room and time as other numbers, unless
    files are compressed: see `Shrink` for a model that is smaller.
    """

    type: Literal["prune"] = "prune"
    sparsity: float = 0.5  # share of each kernel of the encoder
    ramp: float = 0.6  # of the steps
    epochs: int = 1
    learning_rate: float = 3e-5  # at its peak
    accumulate_steps: int = 1
    xla: bool = False
    serve_as: Format = "saved_model"

    def __post_init__(self) -> None:
        _check_shares(self, "sparsity", "ramp")
        _check_training(self)


@dataclass(frozen=True, kw_only=True)
class Shrink:
    """A BERT without its least important attention heads and feed-forward units, trained on.

    Important is what the loss would change most without, to first order, over `rows` of train:
    Michel et al. 2019 (https://arxiv.org/abs/1905.10650). Every block keeps at least one of both.
    """

    type: Literal["shrink"] = "shrink"
    keep_heads: float = 0.5  # share of those of all blocks
    keep_units: float = 0.5
    rows: int = 1024
    epochs: int = 1
    learning_rate: float = 5e-5  # at its peak
    accumulate_steps: int = 1
    xla: bool = False
    serve_as: Format = "saved_model"

    def __post_init__(self) -> None:
        _check_shares(self, "keep_heads", "keep_units")
        if self.rows < 1:
            raise ValueError(f"rows: must be at least 1; received {self.rows}; 1024 is usual")
        _check_training(self)


@dataclass(frozen=True, kw_only=True)
class Distill:
    """A smaller model that learns the answers of the model: Hinton et al. 2015
    (https://arxiv.org/abs/1503.02531).

    Give `num_layers` for the same BERT with fewer blocks, which start as evenly spaced ones of the
    model, or `model` for any other, which starts from nothing.
    """

    type: Literal["distill"] = "distill"
    num_layers: int | None = None
    model: Annotated[ModelSpec, Field(discriminator="type")] | None = None
    temperature: float = 2.0
    labels_share: float = 0.5  # of the labels in the loss, beside the answers
    epochs: int = 2
    learning_rate: float = 1e-4  # at its peak
    accumulate_steps: int = 1
    xla: bool = False
    serve_as: Format = "saved_model"

    def __post_init__(self) -> None:
        if (self.num_layers is None) == (self.model is None):
            raise ValueError(
                "num_layers: must be given, or model, and not both; received "
                f"{self.num_layers} and {self.model}; e.g. num_layers: 3"
            )
        if self.num_layers is not None and self.num_layers < 1:
            raise ValueError(f"num_layers: must be at least 1; received {self.num_layers}; e.g. 3")
        if getattr(self.model, "preset", None) is not None:
            raise ValueError(
                "model.preset: must be null, for a student has no tokens of its own; received "
                f"{self.model.preset!r}; give sizes, or num_layers"  # type: ignore[union-attr]
            )
        if not 0.5 <= self.temperature <= 100:
            raise ValueError(
                f"temperature: must lie between 0.5 and 100; received {self.temperature}; e.g. 2"
            )
        if not 0 <= self.labels_share < 1:
            raise ValueError(
                f"labels_share: must be in [0, 1); received {self.labels_share}; e.g. 0.5"
            )
        _check_training(self)


Variant = Keep | Quantize | Cast | Prune | Shrink | Distill

BASE = "base"
"""The name of the model as it was trained, beside its variants."""


def _check_shares(variant: Any, *names: str) -> None:
    for name in names:
        if not 0 < getattr(variant, name) < 1:
            raise ValueError(
                f"{name}: must be above 0 and below 1; received {getattr(variant, name)}; "
                f"the default is {getattr(type(variant), name)}"
            )


def _check_training(variant: Any) -> None:
    for name in ("epochs", "accumulate_steps"):
        if getattr(variant, name) < 1:
            raise ValueError(
                f"{name}: must be at least 1; received {getattr(variant, name)}; "
                f"the default is {getattr(type(variant), name)}"
            )
    if not 0 < variant.learning_rate < 1:
        raise ValueError(
            f"learning_rate: must be above 0 and below 1; received {variant.learning_rate}; "
            f"the default is {type(variant).learning_rate}"
        )
