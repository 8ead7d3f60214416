"""The part of a classifier from tokens to probabilities -> files of other runtimes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tensorflow as tf

from ..example_spec import model_inputs
from ..graph_tokenizer import TextTokenizer
from ..presets import first_line
from ..serving import plain_texts
from ..serving.answering import (
    LABELS_FILE,
    MODEL_FILES,
    PROBABILITIES,
    SEVERAL_FILE,
    THRESHOLD_FILE,
    TOKENIZER_DIR,
)
from ..serving.found import one_line
from .head import Head, SeveralHead
from .signatures import pad, specs, text_specs

OPSET = 17
"""Of ONNX: the first with layer normalization."""


def write(
    folder: Path,
    model: Any,
    tokenizer: TextTokenizer,
    *,
    head: Head,
    format: str,
    labels_file: Path,
    has_text_pair: bool,
    plain: str | None,
) -> None:
    """Fills `folder` with what `serving.answering.TokenModel` reads.

    `plain` is the `serving.plain_texts.description` of the tokenizer; None where there is none.

    Raises:
        ValueError: the converter is not installed, or cannot convert the model.
    """
    folder.mkdir(parents=True)
    module = _TokenClassifier(model, head, has_text_pair)
    try:
        _CONVERTERS[format](module, folder / MODEL_FILES[format])
    except ImportError as error:
        raise ValueError(
            f"serve_as: {format} needs packages that are not installed ({error}); "
            f"pip install 'tpuline[{format}]'"
        ) from error
    except Exception as error:  # converters raise what they like
        raise ValueError(
            f"serve_as: {format} must be able to take the model; its converter failed "
            f"({first_line(error)}); serve it in another format"
        ) from error
    _save_tokenizer(folder / TOKENIZER_DIR, tokenizer, has_text_pair)
    (folder / LABELS_FILE).write_bytes(labels_file.read_bytes())
    if plain is not None:
        (folder / plain_texts.FILE).write_text(plain, encoding="utf-8")
    if isinstance(head, SeveralHead):
        several = {"separator": head.separator, "thresholds": head.thresholds}
        (folder / SEVERAL_FILE).write_text(json.dumps(several) + "\n", encoding="utf-8")
    if head.threshold is not None:
        facts = asdict(head.threshold) | {"label": one_line(head.threshold.label)}
        text = json.dumps(facts, indent=2, sort_keys=True)
        (folder / THRESHOLD_FILE).write_text(text + "\n", encoding="utf-8")


class _TokenClassifier(tf.Module):
    """Features `(B, L)` to probabilities `(B, C)`, as one function of named inputs."""

    def __init__(self, model: Any, head: Head, has_text_pair: bool) -> None:
        super().__init__(name="token_classifier")
        self.weights = [weight.value for weight in model.weights]
        names = model_inputs(has_text_pair)
        self.specs = specs(names, (None, None), tf.int32)

        def classify(*features: tf.Tensor) -> dict[str, tf.Tensor]:
            logits = model(dict(zip(names, features, strict=True)), training=False)
            return {PROBABILITIES: head.probabilities(logits)}

        self.classify = tf.function(classify, input_signature=self.specs, autograph=False)


def _onnx(module: _TokenClassifier, file: Path) -> None:
    import onnxruntime
    import tf2onnx

    tf2onnx.convert.from_function(
        module.classify, input_signature=module.specs, opset=OPSET, output_path=str(file)
    )
    providers = onnxruntime.get_available_providers()
    onnxruntime.InferenceSession(
        str(file), providers=providers
    )  # what is written here must be able to run here


def _litert(module: _TokenClassifier, file: Path) -> None:
    import ai_edge_litert  # noqa: F401  what is written here must be able to run here

    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"serving_default": module.classify})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        file.write_bytes(converter.convert())


def _openvino(module: _TokenClassifier, file: Path) -> None:
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"serving_default": module.classify})
        converted = openvino.convert_model(folder)
    openvino.save_model(converted, str(file), compress_to_fp16=False)


_CONVERTERS: dict[str, Callable[[_TokenClassifier, Path], None]] = {
    "onnx": _onnx,
    "litert": _litert,
    "openvino": _openvino,
}


def _save_tokenizer(folder: Path, tokenizer: TextTokenizer, has_text_pair: bool) -> None:
    """Raw strings to the features that the model takes."""
    module = tf.Module()
    module.tokenizer = tokenizer
    module.serving_default = tf.function(
        lambda *columns: pad(tokenizer(*columns), has_text_pair),
        input_signature=text_specs(has_text_pair),
        autograph=False,
    )
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serving_default})
