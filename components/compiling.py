"""Whether the TensorFlow that is installed compiles for the processor of this machine."""

from __future__ import annotations

from importlib import metadata

TPU_BUILD = "tensorflow-tpu"


def compiles_for_cpus() -> bool:
    """False for TensorFlow's build for TPUs, whose XLA compiles for nothing else."""
    try:
        metadata.distribution(TPU_BUILD)
    except metadata.PackageNotFoundError:
        return True
    return False


def check_compiles(setting: str, otherwise: str) -> None:
    """To be called before XLA is asked to compile for what is no TPU.

    Raises:
        ValueError: it cannot; `setting` is the one that asks for it, `otherwise` the next step.
    """
    if not compiles_for_cpus():
        raise ValueError(
            f"{setting}: needs TensorFlow's build for CPUs and GPUs; received {TPU_BUILD}, which "
            f"compiles for TPUs only; {otherwise}"
        )
