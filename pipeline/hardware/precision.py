"""Which Keras dtype policy a chip gets. Pure."""

from __future__ import annotations


def resolve_precision(
    precision: str, *, strategy: str, capability: tuple[int, ...] = (0, 0)
) -> str:
    """The Keras dtype policy for a strategy; `capability` is the GPU's compute capability.

    `auto`: bfloat16 where the chip multiplies it (TPU, GPU from 8.0), float16 with loss scaling on
    GPUs of 7.x, float32 elsewhere.
    """
    if precision == "mixed_float16" and strategy == "tpu":
        raise ValueError(
            "hardware.precision: must be mixed_bfloat16 or float32 on a TPU, which computes no "
            "float16; received mixed_float16; use auto"
        )
    if precision != "auto":
        return precision
    if strategy == "tpu" or capability >= (8, 0):
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= (7, 0) else "float32"
