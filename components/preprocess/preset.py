"""The vocabulary of a pretrained BERT: a local KerasHub or Hugging Face folder, or a KerasHub name.

A folder is read without Keras; a name is downloaded by KerasHub.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ..example_spec import END_TOKEN, PAD_TOKEN, START_TOKEN, UNKNOWN_TOKEN
from ..vocabulary import load_vocabulary

_VOCABULARY_FILES = ("assets/tokenizer/vocabulary.txt", "vocab.txt")
_FIELD = "preprocess.vocabulary.preset"


def is_folder(preset: str) -> bool:
    """Whether it names a folder rather than something to download."""
    return Path(preset).expanduser().is_dir()


def check(preset: str, *, lowercase: bool) -> None:
    """`ValueError` when a folder does not hold a WordPiece vocabulary that fits."""
    if is_folder(preset):
        load(preset, lowercase=lowercase)
    elif preset.startswith((".", "/", "~")):
        raise ValueError(
            f"{_FIELD}: must be a KerasHub preset name or a folder; received {preset!r}, which "
            "does not exist; correct the path"
        )


def digest(preset: str) -> str:
    """What stands for the preset in a cache key: the content of a folder's vocabulary, or a name.

    KerasHub's names without a version are taken for what they are today.
    """
    if not is_folder(preset):
        return preset
    tokens = _read_folder(Path(preset).expanduser())
    return hashlib.sha256("\n".join(tokens).encode()).hexdigest()


def load(preset: str, *, lowercase: bool) -> tuple[str, ...]:
    """The tokens by id; `ValueError` when they do not fit this tokenizer."""
    if is_folder(preset):
        folder = Path(preset).expanduser()
        tokens, lower = _read_folder(folder), _read_lowercase(folder)
    else:
        tokens, lower = _download(preset)
    missing = {PAD_TOKEN, UNKNOWN_TOKEN, START_TOKEN, END_TOKEN} - set(tokens)
    if missing or tokens[0] != PAD_TOKEN:
        raise ValueError(
            f"{_FIELD}: must hold a BERT WordPiece vocabulary that starts with {PAD_TOKEN}; "
            f"received {preset!r}, which starts with {tokens[:1]} and lacks "
            f"{sorted(missing) or 'nothing'}; choose a BERT preset"
        )
    if lower is not None and lower != lowercase:
        raise ValueError(
            f"preprocess.vocabulary.lowercase: must be {lower} as {preset!r} was trained; "
            f"received {lowercase}; set it to {str(lower).lower()}"
        )
    return tokens


def _read_folder(folder: Path) -> tuple[str, ...]:
    for name in _VOCABULARY_FILES:
        if (folder / name).is_file():
            return load_vocabulary(folder / name)
    ids = _json(folder / "tokenizer.json").get("model", {}).get("vocab")
    if isinstance(ids, dict) and sorted(ids.values()) == list(range(len(ids))):
        return tuple(sorted(ids, key=ids.__getitem__))
    raise ValueError(
        f"{_FIELD}: must be a folder with {' or '.join(_VOCABULARY_FILES)}, or a WordPiece "
        f"tokenizer.json; received {folder}; correct the path, or choose a BERT preset"
    )


def _read_lowercase(folder: Path) -> bool | None:
    """What the folder says about case; None when it says nothing."""
    said = (
        _json(folder / "tokenizer.json").get("config", {}).get("lowercase"),  # KerasHub
        _json(folder / "tokenizer_config.json").get("do_lower_case"),  # Hugging Face
        (_json(folder / "tokenizer.json").get("normalizer") or {}).get("lowercase"),
    )
    return next((lower for lower in said if isinstance(lower, bool)), None)


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def _download(preset: str) -> tuple[tuple[str, ...], bool | None]:
    import keras_hub

    try:
        tokenizer = keras_hub.models.BertTokenizer.from_preset(preset)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{_FIELD}: must be a KerasHub BERT preset or a folder; received {preset!r}, which "
            f"could not be loaded ({error}); correct the name, or download it and give its folder"
        ) from error
    return tuple(tokenizer.get_vocabulary()), tokenizer.lowercase
