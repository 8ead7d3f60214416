"""BertSpec -> the pooled output of a KerasHub BERT, pretrained or not, frozen or not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .example_spec import PADDING_MASK, SEGMENT_IDS, TOKEN_IDS
from .first_token import of_first_token
from .lora import add_adapters
from .narrowing import narrow
from .preset_files import FIELD, check_length, check_preset
from .presets import fingerprints, first_line
from .rematerialization import rematerialize

if TYPE_CHECKING:
    from .modeling import BertSpec


def pooled_output(
    spec: BertSpec,
    features: Any,
    *,
    vocabulary_size: int,
    sequence_length: int,
    architecture: BertSpec | None = None,
) -> Any:
    """Features of `(B, L)` -> `(B, D)`; the layer of all that is before is called `backbone`.

    See `modeling.build`.

    Raises:
        ValueError: a preset that cannot be loaded, is too short or has another vocabulary.
    """
    import keras
    import keras_hub

    if spec.preset is None or architecture is not None:
        sizes = architecture or spec
        backbone = keras_hub.models.BertBackbone(
            vocabulary_size=vocabulary_size,
            num_layers=sizes.num_layers,
            num_heads=sizes.num_heads,
            hidden_dim=sizes.hidden_dim,
            intermediate_dim=sizes.intermediate_dim,
            dropout=_dropout(spec),
            max_sequence_length=sizes.max_positions or sequence_length,
            name="backbone",
        )
    else:
        backbone = _pretrained(spec, vocabulary_size, sequence_length)
    _narrow(architecture or spec, backbone)
    _apply_levers(spec, backbone)
    segment_ids = features.get(SEGMENT_IDS)
    if segment_ids is None:
        segment_ids = keras.ops.zeros_like(features[TOKEN_IDS])
    inputs = {
        TOKEN_IDS: features[TOKEN_IDS],
        PADDING_MASK: features[PADDING_MASK],
        SEGMENT_IDS: segment_ids,
    }
    outputs = backbone(inputs)
    if spec.pooling == "mean":
        pooled = _mean(outputs["sequence_output"], features[PADDING_MASK])
    else:
        pooled = outputs["pooled_output"]
    return keras.ops.stop_gradient(pooled) if spec.freeze_backbone else pooled


def check_tokenizer(preset: str, *, fingerprint: str, has_text_pair: bool) -> None:
    """`ValueError` when the data was tokenised by another tokenizer than the preset's.

    Vocabularies of one size are told apart as well, and so is their case. Of a name, KerasHub
    fetches the tokenizer.
    """
    if fingerprint not in fingerprints(preset, field=FIELD, has_text_pair=has_text_pair):
        raise ValueError(
            f"{FIELD}: {preset!r} must have the tokenizer that the shards were made with; received "
            "one of other tokens or another case; set preprocess.vocabulary.preset to the same "
            "preset, and preprocess.vocabulary.lowercase to its case"
        )


def _narrow(spec: BertSpec, backbone: Any) -> None:
    for number, block in enumerate(backbone.transformer_layers):
        heads = spec.num_heads if spec.heads is None else spec.heads[number]
        units = spec.intermediate_dim if spec.units is None else spec.units[number]
        if spec.preset is None and (heads, units) != (spec.num_heads, spec.intermediate_dim):
            narrow(block, num_heads=heads, num_units=units)


def sizes(backbone: Any) -> dict[str, Any]:
    """The fields of a `BertSpec` without preset that rebuild the backbone."""
    return {
        "num_layers": backbone.num_layers,
        "num_heads": backbone.num_heads,
        "hidden_dim": backbone.hidden_dim,
        "intermediate_dim": backbone.intermediate_dim,
        "max_positions": backbone.max_sequence_length,
    }


def _pretrained(spec: BertSpec, vocabulary_size: int, sequence_length: int) -> Any:
    import keras_hub

    assert spec.preset is not None
    check_preset(spec.preset)
    try:
        backbone = keras_hub.models.BertBackbone.from_preset(
            os.path.expanduser(spec.preset), dropout=_dropout(spec), name="backbone"
        )
    except (ValueError, OSError, ImportError, KeyError) as error:
        raise ValueError(
            f"{FIELD}: must be a KerasHub name of a BERT or a folder with one; received "
            f"{spec.preset!r}, which could not be loaded ({first_line(error)}); correct the name, "
            "or download it and give its folder"
        ) from error
    _check_fits(spec.preset, backbone, vocabulary_size, sequence_length)
    return backbone


def _dropout(spec: BertSpec) -> float:
    # What is frozen gives the same features in training as in serving.
    return 0.0 if spec.freeze_backbone else spec.dropout


def _mean(states: Any, padding_mask: Any) -> Any:
    """`(B, L, D)` and the mask `(B, L)` -> `(B, D)`, summed in float32."""
    import keras

    ops = keras.ops
    # Not [:, :, None]: LiteRT has no such slice.
    mask = ops.expand_dims(ops.cast(padding_mask, "float32"), -1)
    summed = ops.sum(ops.cast(states, "float32") * mask, axis=1)
    mean = summed / ops.maximum(ops.sum(mask, axis=1), 1.0)
    return ops.cast(mean, states.dtype)


def _apply_levers(spec: BertSpec, backbone: Any) -> None:
    if spec.freeze_backbone:
        backbone.trainable = False
    if spec.lora_rank is not None:
        add_adapters(backbone, spec.lora_rank)
    if spec.pooling == "first":
        of_first_token(backbone.transformer_layers[-1])
    else:
        backbone.pooled_dense.trainable = False  # nothing sees it
    if spec.remat:
        for block in backbone.transformer_layers:
            rematerialize(block)


def _check_fits(preset: str, backbone: Any, vocabulary_size: int, sequence_length: int) -> None:
    check_length(preset, sequence_length, num_positions=backbone.max_sequence_length)
    if vocabulary_size != backbone.vocabulary_size:
        raise ValueError(
            f"{FIELD}: {preset!r} must have the vocabulary that the shards were made "
            f"with, {vocabulary_size} tokens; received one of {backbone.vocabulary_size}; set "
            "preprocess.vocabulary.preset to the same preset"
        )
    if backbone.num_segments != 2:
        raise ValueError(
            f"{FIELD}: {preset!r} must tell 2 segments apart, as BERT does; received "
            f"{backbone.num_segments}; choose another preset"
        )
