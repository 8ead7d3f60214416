"""TrainedModel -> the Keras model with its weights, as it is served: one device, no strategy."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from .contracts import ShardSet, TrainedModel
from .modeling import build
from .stage import Hardware

if TYPE_CHECKING:
    import keras


def restored(trained: TrainedModel, shards: ShardSet, hardware: Hardware) -> keras.Model:
    """The model in the dtype and the quantization that its weights are stored in."""
    model = fresh(trained, shards, hardware)
    if trained.quantization is not None:
        quantize(model, trained.quantization)
    model.load_weights(Path(trained.uri) / trained.weights_file)
    return model


def fresh(trained: TrainedModel, shards: ShardSet, hardware: Hardware) -> keras.Model:
    """The model in its dtype, with random weights."""
    import keras

    keras.utils.clear_session()  # layer names, and with them the graph, start from the same counts
    with hardware.dtype(trained.dtype):
        return build(
            trained.model,
            vocabulary_size=shards.vocabulary_size,
            sequence_length=shards.sequence_length,
            num_labels=len(shards.label_names),
            has_text_pair=shards.has_text_pair,
        )


def quantize(model: keras.Model, mode: str) -> None:
    """In place; layers that have no such kernel (norms, positions, GRU cells) stay as they are."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have a `quantize` method")
        model.quantize(mode)
