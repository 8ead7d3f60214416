"""How large a model is, before there is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.components.pretrained import hugging_face_folder, hugging_face_tensors
from tpuline.components.modeling import BagSpec, BertSpec, GruSpec, ModelSpec, build
from tpuline.pipeline.hardware.model_size import num_parameters
from tpuline.pipeline.hardware.preflight import presets


def test_presets_have_as_many_parameters_as_keras_hub_says() -> None:
    import keras_hub

    published = {
        name: facts["metadata"]["params"]
        for name, facts in keras_hub.models.BertBackbone.presets.items()
    }
    ours = {name: sizes.num_parameters for name, sizes in presets.PRESETS.items()}
    assert ours == {name: published[name] for name in ours}


def test_preset_is_lowered_by_its_sizes_alone() -> None:
    spec = presets.architecture(BertSpec(preset="bert_tiny_en_uncased", lora_rank=4))
    assert spec == BertSpec(
        num_layers=2, num_heads=2, hidden_dim=128, intermediate_dim=512, max_positions=512
    )
    assert presets.architecture(BertSpec()) is None and presets.architecture(BagSpec()) is None


@pytest.mark.parametrize(
    "spec",
    [
        BertSpec(num_layers=3, hidden_dim=64, intermediate_dim=100),
        GruSpec(embedding_dim=20, units=30),
        GruSpec(embedding_dim=20, units=30, bidirectional=False),
        BagSpec(embedding_dim=20, hidden_dim=30),
    ],
    ids=str,
)
def test_size_of_a_model_is_that_of_keras(spec: ModelSpec) -> None:
    sizes = {"vocabulary_size": 500, "sequence_length": 40}
    model = build(spec, num_labels=2, has_text_pair=False, **sizes)
    head = model.get_layer("logits").count_params()
    assert num_parameters(spec, **sizes) == pytest.approx(model.count_params() - head, rel=0.02)


def test_size_of_a_folder_is_that_of_its_weights(tmp_path: Path) -> None:
    spec = BertSpec(preset=hugging_face_folder(tmp_path))
    found = num_parameters(spec, vocabulary_size=9, sequence_length=9)
    weights = sum(tensor.size for tensor in hugging_face_tensors().values())
    assert weights <= (found or 0) < weights + 1000  # names come on top
    nowhere = BertSpec(preset="nobody_knows_it")
    assert num_parameters(nowhere, vocabulary_size=9, sequence_length=9) is None
