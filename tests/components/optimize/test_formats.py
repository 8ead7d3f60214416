"""Weights of fewer bits in every format: they answer alike, or are refused in clear words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.components.export import toy
from tests.xla import needs_xla_for_cpus
from tpuline.components.contracts import Format, Servable, ShardSet, TrainedModel
from tpuline.components.export import stage as export
from tpuline.components.modeling import BertSpec
from tpuline.components.optimize import stage
from tpuline.components.optimize.variants import Cast, Keep, Quantize
from tpuline.components.serving import answering

VARIANTS = {"int8": Quantize(mode="int8"), "bfloat16": Cast(dtype="bfloat16")}
FORMATS: tuple[Format, ...] = ("xla", "onnx", "openvino", "litert")
NOT_CONVERTED: tuple[tuple[str, Format], ...] = (
    ("int8", "litert"),
    ("bfloat16", "onnx"),
    ("bfloat16", "openvino"),
    ("bfloat16", "litert"),
)
"""Of a BERT; ONNX Runtime takes bfloat16 of no model, so that a config is refused already."""

TEXTS = ["great film", "dull plot", ""]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    return toy.write_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, shards: ShardSet) -> TrainedModel:
    spec = BertSpec(num_layers=1, hidden_dim=32, num_heads=2, intermediate_dim=64)
    return toy.write_model(tmp_path_factory.mktemp("base") / "model", shards, spec)


def cases() -> list[Any]:
    """Those that answer; int8 compiled is what the README shows."""
    found = []
    for name in VARIANTS:
        for format in FORMATS:
            if (name, format) in (*NOT_CONVERTED, ("int8", "openvino")):
                continue
            tier = pytest.mark.long if (name, format) == ("int8", "xla") else pytest.mark.slow
            marks = [tier, needs_xla_for_cpus] if format == "xla" else [tier]
            found.append(pytest.param(name, format, marks=marks, id=f"{name} {format}"))
    return found


def exported(
    folder: Path, shards: ShardSet, base: TrainedModel, name: str, format: Format
) -> Servable:
    variant = replace(VARIANTS[name], serve_as=format)
    made = stage.run(variant, stage.Inputs(shards=shards, model=base), toy.context(folder / "made"))
    assert (made.quantization or made.dtype, made.serve_as) == (name, format)
    inputs = export.Inputs(shards=shards, model=made)
    return export.run(export.Config(), inputs, toy.context(folder / "exported"))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("name", "format"), cases())
def test_variant_of_fewer_bits_answers_in_the_format_as_keras_does(
    tmp_path: Path, shards: ShardSet, base: TrainedModel, name: str, format: Format
) -> None:
    servable = exported(tmp_path, shards, base, name, format)
    assert servable.format == format and servable.parity.passed
    answers = answering.load(Path(servable.uri) / servable.saved_model_dir).texts([TEXTS])
    best = np.asarray(answers["probabilities"], np.float32).argmax(axis=1)
    assert [label.decode() for label in answers["label"]] == [toy.LABEL_NAMES[i] for i in best]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("name", "format"), NOT_CONVERTED)
def test_variant_that_the_converter_cannot_take_is_told_in_clear_words(
    tmp_path: Path, shards: ShardSet, base: TrainedModel, name: str, format: Format
) -> None:
    with pytest.raises(ValueError, match=rf"(?s)^serve_as: {format} must be able to .* failed \("):
        exported(tmp_path, shards, base, name, format)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_parity_finds_that_openvino_answers_otherwise_of_int8(
    tmp_path: Path, shards: ShardSet, base: TrainedModel
) -> None:
    """Why the config is refused. Once this fails, it need not be."""
    parity = exported(tmp_path, shards, base, "int8", "openvino").parity
    assert not parity.passed and parity.max_abs_diff > 2 * parity.tolerance


@pytest.mark.parametrize(
    ("variants", "words"),
    [
        ({"fast": Quantize(serve_as="openvino")}, "of int8, .*'openvino'"),
        ({"small": Quantize(), "fast": Keep(of="small", serve_as="openvino")}, "of int8, .*'open"),
        ({"fast": Cast(serve_as="onnx")}, "of bfloat16, .*'onnx'"),
    ],
    ids=["int8", "of an earlier one", "bfloat16"],
)
def test_weights_that_a_format_cannot_serve_are_refused_before_anything_runs(
    variants: Any, words: str
) -> None:
    with pytest.raises(ValueError, match=rf"^variants\.fast\.serve_as: must be .* {words}"):
        stage.Config(variants=variants)


def test_weights_and_formats_that_go_together_are_taken() -> None:
    variants = {"small": Cast(serve_as="xla"), "other": Quantize(serve_as="onnx")}
    kept = {"int8": Quantize(), "fast": Keep(serve_as="openvino"), "same": Keep(serve_as="onnx")}
    for each in (variants, kept):
        assert stage.Config(variants=each).variants == each
