"""Model specs and how to build a Keras classifier from one. Importing it imports no Keras.

Every model takes the features of `example_spec.model_inputs` and gives float32 logits `(B, C)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class BertSpec:
    """A KerasHub BERT classifier: from a preset, or from scratch with the sizes below."""

    type: Literal["bert"] = "bert"
    preset: str | None = None  # a KerasHub name or a local folder; the sizes below are then unused
    num_layers: int = 2
    num_heads: int = 2
    hidden_dim: int = 128
    intermediate_dim: int = 512
    dropout: float = 0.1


@dataclass(frozen=True, kw_only=True)
class GruSpec:
    """Embedding, GRU, dense layer."""

    type: Literal["gru"] = "gru"
    embedding_dim: int = 64
    units: int = 64
    bidirectional: bool = True
    dropout: float = 0.2


@dataclass(frozen=True, kw_only=True)
class BagSpec:
    """Mean of embeddings, one hidden layer: the cheap reference."""

    type: Literal["bag"] = "bag"
    embedding_dim: int = 64
    hidden_dim: int = 64
    dropout: float = 0.2


ModelSpec = BertSpec | GruSpec | BagSpec
