"""Every model takes int32 features of any width and does not care for padding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tpuline.components.modeling import (
    BagSpec,
    BertSpec,
    GruSpec,
    ModelSpec,
    build,
)
from tpuline.pipeline.hardware.config import HardwareConfig
from tpuline.pipeline.hardware.strategy import ConfiguredHardware

BERT = BertSpec(num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=8)
MEAN = replace(BERT, pooling="mean")
SPECS = [
    BERT,
    MEAN,
    GruSpec(embedding_dim=4, units=4),
    GruSpec(embedding_dim=4, units=4, bidirectional=False),
    BagSpec(embedding_dim=4, hidden_dim=4),
]
FROZEN = {"preset": "p", "freeze_backbone": True}
every_spec = pytest.mark.parametrize(
    "spec", SPECS, ids=["bert", "bert-mean", "gru", "gru-one-way", "bag"]
)


def made(spec: ModelSpec, *, has_text_pair: bool = False, **changes: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    sizes = {"vocabulary_size": 30, "sequence_length": 12, "num_labels": 3} | changes
    return build(spec, has_text_pair=has_text_pair, **sizes)


def features(width: int, *, padding_id: int = 0) -> dict[str, np.ndarray]:
    ids = np.full((2, width), padding_id, "int32")
    mask = np.zeros((2, width), "int32")
    for row, tokens in enumerate(([2, 9, 8, 3], [2, 7, 6, 5, 4, 3])):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return {"token_ids": ids, "padding_mask": mask}


@every_spec
def test_padding_does_not_change_the_logits(spec: ModelSpec) -> None:
    model = made(spec)
    narrow = np.asarray(model(features(6)))
    assert narrow.shape == (2, 3)
    assert np.asarray(model(features(12))) == pytest.approx(narrow, abs=1e-6)
    assert np.asarray(model(features(12, padding_id=7))) == pytest.approx(narrow, abs=1e-6)


@every_spec
def test_row_alone_has_the_logits_that_it_has_beside_others(spec: ModelSpec) -> None:
    """At every width: one may be that of some layer, and a sum then go along the wrong side."""
    model = made(spec)
    for width in range(6, 13):
        inputs = features(width)
        alone = [model({n: x[i : i + 1] for n, x in inputs.items()}) for i in range(2)]
        assert np.concatenate(alone) == pytest.approx(np.asarray(model(inputs)), abs=1e-6)


def test_mean_is_that_of_the_tokens_without_padding() -> None:
    model, inputs = made(MEAN), features(12)
    backbone: Any = model.get_layer("backbone")
    states = np.asarray(
        backbone(inputs | {"segment_ids": 0 * inputs["token_ids"]})["sequence_output"]
    )
    wanted = [
        row[mask == 1].mean(axis=0)
        for row, mask in zip(states, inputs["padding_mask"], strict=True)
    ]
    head: Any = model.get_layer("logits")
    assert np.asarray(model(inputs)) == pytest.approx(np.asarray(head(np.array(wanted))), abs=1e-6)


@every_spec
def test_every_token_counts(spec: ModelSpec) -> None:
    model = made(spec)
    inputs = features(6)
    before = np.asarray(model(inputs))
    for place in range(6):
        changed = inputs["token_ids"].copy()
        changed[1, place] = 20
        after = np.asarray(model(inputs | {"token_ids": changed}))
        assert np.abs(after[1] - before[1]).max() > 1e-6
        assert after[0] == pytest.approx(before[0], abs=1e-6)


@every_spec
def test_inputs_are_int32_and_segments_only_for_pairs(spec: ModelSpec) -> None:
    for has_text_pair, names in (
        (False, {"token_ids", "padding_mask"}),
        (True, {"token_ids", "padding_mask", "segment_ids"}),
    ):
        model = made(spec, has_text_pair=has_text_pair)
        assert set(model.input) == names
        assert {value.dtype for value in model.input.values()} == {"int32"}


def test_bert_tells_segments_apart() -> None:
    model = made(BERT, has_text_pair=True)
    inputs = features(6)
    segments = np.array([[0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1]], "int32")
    one = np.asarray(model(inputs | {"segment_ids": np.zeros_like(segments)}))
    two = np.asarray(model(inputs | {"segment_ids": segments}))
    assert np.abs(one - two).max() > 1e-6
    assert one == pytest.approx(np.asarray(made(BERT)(inputs)), abs=1e-6)


@every_spec
def test_logits_and_loss_are_float32_under_mixed_precision(spec: ModelSpec) -> None:
    lane = ConfiguredHardware(HardwareConfig(strategy="cpu", precision="mixed_bfloat16")).start()
    with lane.scope():
        model = made(spec)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    logits = model(features(6))
    assert logits.dtype == loss(np.array([0, 1]), logits).dtype == "float32"
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert "bfloat16" in {layer.compute_dtype for layer in model.layers}


@every_spec
def test_weights_survive_a_file_between_differently_named_sessions(
    spec: ModelSpec, tmp_path: Path
) -> None:
    first = made(spec)
    first.save_weights(tmp_path / "w.weights.h5")
    keras.layers.Dense(1)  # moves Keras' own name counters
    keras.utils.set_random_seed(2)
    second = build(spec, vocabulary_size=30, sequence_length=12, num_labels=3, has_text_pair=False)
    second.load_weights(tmp_path / "w.weights.h5")
    assert np.asarray(second(features(6))) == pytest.approx(np.asarray(first(features(6))))


@every_spec
def test_no_mask_travels_on_to_the_loss(spec: ModelSpec) -> None:
    assert getattr(made(spec).output, "_keras_mask", None) is None


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (BertSpec, {"num_layers": 0}, "num_layers: must be at least 1; received 0"),
        (BertSpec, {"hidden_dim": 10, "num_heads": 4}, "hidden_dim: must be a multiple of"),
        (BertSpec, {"dropout": 1.0}, r"dropout: must be in \[0, 1\); received 1.0"),
        (BertSpec, {"preset": " "}, "preset: must name"),
        (BertSpec, {"preset": "p", "lora_rank": 0}, "lora_rank: must be at least 1, or null"),
        (BertSpec, {"lora_rank": 8}, "lora_rank: must come with a preset.* received 8"),
        (BertSpec, {"freeze_backbone": True}, "freeze_backbone: must come with a preset"),
        (BertSpec, FROZEN | {"lora_rank": 8}, "freeze_backbone: must be false with lora_rank"),
        (BertSpec, FROZEN | {"remat": True}, "freeze_backbone: must be false with remat"),
        (GruSpec, {"units": 0}, "units: must be at least 1"),
        (BagSpec, {"hidden_dim": -1}, "hidden_dim: must be at least 1; received -1"),
    ],
)
def test_spec_refuses_what_cannot_be(kind: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        kind(**fields)
