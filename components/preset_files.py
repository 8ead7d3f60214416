"""What is wrong with a preset folder of a BERT, seen without Keras and without reading weights.

KerasHub's layout: config.json, model.weights.h5 (or model.weights.json and its parts) and a
tokenizer. Hugging Face's: config.json, model.safetensors (or model.safetensors.index.json and its
parts) and vocab.txt or tokenizer.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .presets import damaged, folder_of, read_json, read_tokenizer

FIELD = "train.model.preset"

_KERAS_HUB_SIZES = ("vocabulary_size", "num_layers", "num_heads", "hidden_dim")
_HUGGING_FACE_SIZES = ("vocab_size", "num_hidden_layers", "num_attention_heads", "hidden_size")
# Ends of names, since some makers put "bert." in front. Of the layers, the last.
_TENSORS = (
    "embeddings.word_embeddings.weight",
    "embeddings.position_embeddings.weight",
    "embeddings.token_type_embeddings.weight",
    "encoder.layer.{last}.output.dense.weight",
    "pooler.dense.weight",
)

Shapes = dict[str, tuple[int, ...]]


def check_preset(preset: str) -> None:
    """Raises `ValueError` for a folder from which no BERT and tokenizer can be loaded.

    What names no folder is left to KerasHub. Costs milliseconds: of weights only heads are read.
    """
    folder = folder_of(preset)
    if folder is None:
        return
    config = _present(folder, "config.json", "describes the model")
    if "registered_name" in config or "class_name" in config:
        num_tokens = _check_keras_hub(folder, config)
    elif "model_type" in config:
        num_tokens = _check_hugging_face(folder, config)
    else:
        raise damaged(
            folder / "config.json", "neither a registered_name nor a model_type", field=FIELD
        )
    tokens, _ = read_tokenizer(preset, field=FIELD)
    if len(tokens) != num_tokens:
        raise ValueError(
            f"{FIELD}: must have a token for each of the {num_tokens:,} rows of its embedding; "
            f"received {len(tokens):,} tokens in {folder}; copy the vocabulary that belongs to "
            "these weights"
        )


def check_length(preset: str, sequence_length: int, *, num_positions: int | None = None) -> None:
    """Raises `ValueError` for rows that are longer than the model's `num_positions`; left out:
    those that the folder tells of, if it does.
    """
    most = _positions(preset) if num_positions is None else num_positions
    if most is not None and sequence_length > most:
        raise ValueError(
            f"preprocess.sequence_length: must be at most {most}, the positions that {preset!r} "
            f"has; received {sequence_length}; lower it"
        )


def _positions(preset: str) -> int | None:
    folder = folder_of(preset)
    found = read_json(folder / "config.json", field=FIELD) if folder is not None else {}
    sizes = found if "model_type" in found else found.get("config") or {}
    value = sizes.get("max_position_embeddings", sizes.get("max_sequence_length"))
    return value if isinstance(value, int) else None


def _check_keras_hub(folder: Path, config: dict[str, Any]) -> int:
    """Returns the rows of the embedding."""
    name = str(config.get("class_name") or config.get("registered_name"))
    _check_type(folder, name.rpartition(">")[2], "BertBackbone")
    sizes = _sizes(folder, config.get("config") or {}, _KERAS_HUB_SIZES)
    if (folder / "model.weights.json").is_file() and not (folder / "model.weights.h5").is_file():
        parts = _parts(folder, "model.weights.json")
    else:
        parts = ["model.weights.h5"]
    for part in parts:
        _check_hdf5(_file(folder, part, "holds the weights"))
    return sizes[0]


def _check_hugging_face(folder: Path, config: dict[str, Any]) -> int:
    """Returns the rows of the embedding."""
    _check_type(folder, str(config["model_type"]), "bert")
    sizes = _sizes(folder, config, _HUGGING_FACE_SIZES)
    activation = str(config.get("hidden_act", "gelu"))
    positions = config.get("position_embedding_type", "absolute")
    if not activation.startswith("gelu") or positions != "absolute":
        raise ValueError(
            f"{FIELD}: must be a BERT with hidden_act gelu and absolute positions, the only one "
            f"that KerasHub builds; received {activation} and {positions} in "
            f"{folder / 'config.json'}; choose another preset"
        )
    shapes: Shapes = {}
    index = "model.safetensors.index.json"
    for part in _parts(folder, index) if (folder / index).is_file() else ["model.safetensors"]:
        shapes |= _safetensors_shapes(_file(folder, part, "holds the weights"))
    _check_tensors(folder, shapes, num_tokens=sizes[0], num_layers=sizes[1])
    return sizes[0]


def _check_tensors(folder: Path, shapes: Shapes, *, num_tokens: int, num_layers: int) -> None:
    for name in _TENSORS:
        wanted = name.format(last=num_layers - 1)
        if not any(known.endswith(wanted) for known in shapes):
            raise ValueError(
                f"{FIELD}: model.safetensors must hold {wanted!r}; received {len(shapes)} tensors "
                f"without it in {folder}; take the weights of a whole encoder, pooler included"
            )
    rows = next(shape[0] for known, shape in shapes.items() if known.endswith(_TENSORS[0]))
    if rows != num_tokens:
        raise ValueError(
            f"{FIELD}: config.json and model.safetensors must be of one model; received "
            f"vocab_size {num_tokens:,} and an embedding of {rows:,} rows in {folder}; copy both "
            "from the same place"
        )


def _check_type(folder: Path, received: str, wanted: str) -> None:
    if received != wanted:
        raise ValueError(
            f"{FIELD}: must be a BERT, {wanted} in config.json; received {received} in "
            f"{folder / 'config.json'}; choose a BERT preset"
        )


def _sizes(folder: Path, config: dict[str, Any], names: tuple[str, ...]) -> list[int]:
    for name in names:
        value = config.get(name)
        if not isinstance(value, int) or value < 1:
            raise damaged(folder / "config.json", f"{value!r} for {name}", field=FIELD)
    return [config[name] for name in names]


def _present(folder: Path, name: str, why: str) -> dict[str, Any]:
    return read_json(_file(folder, name, why), field=FIELD)


def _file(folder: Path, name: str, why: str) -> Path:
    path = folder / name
    if not path.is_file():
        others = [other.name for other in sorted(folder.iterdir())][:8]
        raise ValueError(
            f"{FIELD}: must be a folder with {name}, which {why}; received {folder} with "
            f"{', '.join(others) or 'nothing'}; copy the missing file there, or correct the path"
        )
    return path


def _parts(folder: Path, index: str) -> list[str]:
    """The files that an index of sharded weights names."""
    weight_map = _present(folder, index, "names the files of weights").get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise damaged(folder / index, "no weight_map", field=FIELD)
    listed = (v if isinstance(v, list) else [v] for v in weight_map.values())
    return sorted({str(name) for names in listed for name in names})


def _check_hdf5(path: Path) -> None:
    import h5py

    try:
        h5py.File(path, "r").close()
    except OSError as error:
        raise damaged(path, f"no whole HDF5 file ({error})", field=FIELD) from error


def _safetensors_shapes(path: Path) -> Shapes:
    """Shapes by name. The format: eight bytes with the length of a JSON head, the head, the
    numbers (https://github.com/huggingface/safetensors#format).
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            start = 8 + int.from_bytes(file.read(8), "little")
            head = json.loads(file.read(start - 8)) if start <= size else {}
        head.pop("__metadata__", None)
        end = start + max(tensor["data_offsets"][1] for tensor in head.values())
        shapes = {name: tuple(tensor["shape"]) for name, tensor in head.items()}
    except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
        raise damaged(path, f"no safetensors file, {size:,} bytes", field=FIELD) from error
    if end != size:
        raise damaged(path, f"{size:,} bytes of {end:,}", field=FIELD)
    return shapes
