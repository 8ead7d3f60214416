"""What may be made of a trained model, each a config of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Quantize:
    """Weights of 8 or 4 bits, by a scale a column, without further training (Keras `quantize`).

    int8 also rounds what is multiplied with them, anew for each row. int4 saves place only.
    """

    type: Literal["quantize"] = "quantize"
    mode: Literal["int8", "int4"] = "int8"


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Weights and computation in 16 bits; logits and softmax stay float32.

    Halves the size. Faster only on chips that multiply it, which few CPUs do.
    """

    type: Literal["cast"] = "cast"
    dtype: Literal["bfloat16", "float16"] = "bfloat16"


Variant = Quantize | Cast

BASE = "base"
"""The name of the model as it was trained, beside its variants."""
