"""The `hardware` section. Standard library only: nothing here looks at a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class HardwareConfig:
    """What to compute on. `auto` takes the best that the machine has: TPU, GPUs, CPU."""

    strategy: Literal["auto", "tpu", "mirrored", "cpu"] = "auto"
    replicas: int | None = None  # null: every core of the TPU, every GPU, one CPU replica
    precision: Literal["auto", "mixed_bfloat16", "mixed_float16", "float32"] = "auto"
    tpu_address: str | None = None  # null: the TPU of this machine; else a name or grpc:// address

    def __post_init__(self) -> None:
        if self.replicas is not None and self.replicas < 1:
            raise ValueError(
                f"replicas: must be at least 1 or null; received {self.replicas}; "
                "null takes every device"
            )
        if self.tpu_address is not None and self.strategy not in ("auto", "tpu"):
            raise ValueError(
                f"tpu_address: must be null unless strategy is tpu; received {self.tpu_address!r} "
                f"with strategy {self.strategy}; set strategy to tpu"
            )
        if self.strategy == "tpu" and self.precision == "mixed_float16":
            raise ValueError(
                "precision: must be mixed_bfloat16 or float32 on a TPU, which computes no "
                "float16; received mixed_float16; use auto"
            )
