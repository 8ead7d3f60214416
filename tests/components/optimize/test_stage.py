"""Variants of a small model: smaller, close to it, and exported like it."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from tests.components.export import toy
from tpuline.components.contracts import ShardSet, TrainedModel
from tpuline.components.export import stage as export
from tpuline.components.modeling import BagSpec, BertSpec, GruSpec, ModelSpec
from tpuline.components.optimize import stage
from tpuline.components.optimize.variants import Cast, Keep, Quantize, Variant
from tpuline.components.restoring import restored

BERT = BertSpec(num_layers=1, hidden_dim=32, num_heads=2, intermediate_dim=64)
MODELS: dict[str, ModelSpec] = {"bag": BagSpec(), "gru": GruSpec(), "bert": BERT}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    return toy.write_shards(tmp_path_factory.mktemp("data") / "shards")


def trained(folder: Path, shards: ShardSet, spec: ModelSpec) -> TrainedModel:
    return toy.write_model(folder / "model", shards, spec)


def probabilities(model: keras.Model) -> np.ndarray:
    tokens = np.arange(40, dtype="int32").reshape(4, 10) % 30
    features = {"token_ids": tokens, "padding_mask": np.ones_like(tokens)}
    return np.asarray(keras.ops.softmax(model(features, training=False)))


VARIANTS: dict[str, tuple[Variant, float]] = {
    "int8": (Quantize(mode="int8"), 0.02),
    "int4": (Quantize(mode="int4"), 0.2),
    "bfloat16": (Cast(dtype="bfloat16"), 0.02),
    "float16": (Cast(dtype="float16"), 0.002),
}
"""And how far a probability may stray."""

QUICK = {("bert", "int8"), ("gru", "bfloat16"), ("bag", "int4")}


@pytest.mark.long
@pytest.mark.parametrize(
    ("model", "name"),
    [
        pytest.param(model, name, marks=[] if (model, name) in QUICK else pytest.mark.slow)
        for model in MODELS
        for name in VARIANTS
    ],
)
def test_variant_is_smaller_and_close_to_the_model_and_exported(
    tmp_path: Path, shards: ShardSet, model: str, name: str
) -> None:
    variant, close = VARIANTS[name]
    base = trained(tmp_path, shards, MODELS[model])
    work = toy.context(tmp_path / "optimized")
    made = stage.run(variant, stage.Inputs(shards=shards, model=base), work)
    before = probabilities(restored(base, shards, work.hardware))
    after = probabilities(restored(made, shards, work.hardware))
    assert 0 < np.abs(after - before).max() < close

    servables = [
        export.run(
            export.Config(),
            export.Inputs(shards=shards, model=each),
            toy.context(tmp_path / f"exported-{which}"),
        )
        for which, each in (("base", base), ("variant", made))
    ]
    assert all(servable.parity.passed for servable in servables)
    sizes = [_variables(servable) for servable in servables]
    most = 1.0 if isinstance(variant, Quantize) and model == "gru" else 0.8  # its cell stays
    assert sizes[1] < most * sizes[0]


def _variables(servable: object) -> int:
    folder = Path(servable.uri) / servable.saved_model_dir / "variables"  # type: ignore[attr-defined]
    return sum(file.stat().st_size for file in folder.iterdir())


def test_record_tells_how_the_weights_are_stored(tmp_path: Path, shards: ShardSet) -> None:
    base = trained(tmp_path, shards, MODELS["bag"])
    for variant, told in (
        (Quantize(mode="int4"), ("int4", "float32")),
        (Cast(dtype="float16"), (None, "float16")),
    ):
        work = toy.context(tmp_path / str(told[1]))
        made = stage.run(variant, stage.Inputs(shards=shards, model=base), work)
        assert (made.quantization, made.dtype) == told
        assert made.uri == str(work.workdir) and (work.workdir / made.weights_file).is_file()
        assert made.history == base.history


def test_missing_packages_are_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = stage.Config(variants={"fast": Keep(serve_as="onnx"), "small": Quantize()})
    monkeypatch.setattr(stage, "find_spec", lambda name: object())
    stage.check(config, tmp_path)
    monkeypatch.setattr(stage, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"variants\.fast\.serve_as: onnx .*'tpuline\[onnx\]'"):
        stage.check(config, tmp_path)
