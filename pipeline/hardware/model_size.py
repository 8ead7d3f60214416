"""ModelSpec -> about how many parameters it has. Without TensorFlow; reads a preset's folder."""

from __future__ import annotations

from pathlib import Path

from ...components.modeling import BertSpec, GruSpec, ModelSpec
from .preflight.presets import PRESETS, Sizes

_WEIGHTS = ("*.safetensors", "*.h5")
_BYTES = 4  # of a weight: nearly all presets hold float32


def num_parameters(spec: ModelSpec, *, vocabulary_size: int, sequence_length: int) -> int | None:
    """Head aside. None for a preset that is neither known by name nor a folder."""
    match spec:
        case BertSpec(preset=None):
            return Sizes(
                vocabulary_size=vocabulary_size,
                num_layers=spec.num_layers,
                hidden_dim=spec.hidden_dim,
                num_heads=spec.num_heads,
                intermediate_dim=spec.intermediate_dim,
                max_positions=spec.max_positions or sequence_length,
            ).num_parameters
        case BertSpec():
            return _of_preset(str(spec.preset))
        case GruSpec():
            gates = 3 * spec.units * (spec.embedding_dim + spec.units + 2)
            directions = 2 if spec.bidirectional else 1
            return vocabulary_size * spec.embedding_dim + directions * gates
        case _:
            return (vocabulary_size + spec.hidden_dim) * spec.embedding_dim + spec.hidden_dim


def _of_preset(preset: str) -> int | None:
    if preset in PRESETS:
        return PRESETS[preset].num_parameters
    files = [file for kind in _WEIGHTS for file in Path(preset).expanduser().glob(kind)]
    return sum(file.stat().st_size for file in files) // _BYTES or None
