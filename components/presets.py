"""The tokenizer of a pretrained BERT: of a KerasHub or Hugging Face folder, or a KerasHub name.

A folder is read without Keras. Of a name KerasHub downloads what is not on this machine yet.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .vocabulary import fingerprint, load_vocabulary

_VOCABULARY_FILES = ("assets/tokenizer/vocabulary.txt", "vocab.txt")

Tokenizer = tuple[tuple[str, ...], bool | None]
"""The tokens by id, and whether text is lowercased; None: nothing says so."""


def folder_of(preset: str) -> Path | None:
    """The folder that a preset names; None for what KerasHub has to find."""
    path = Path(preset).expanduser()
    return path if path.is_dir() else None


def read_tokenizer(preset: str, *, field: str) -> Tokenizer:
    """See `Tokenizer`. `field` is the key of the config that errors name.

    Raises:
        ValueError: there is none, or a file of it is damaged.
    """
    folder = folder_of(preset)
    if folder is None:
        return _download(preset, field)
    return _read_tokens(folder, field), _read_lowercase(folder, field)


def fingerprints(preset: str, *, field: str, has_text_pair: bool) -> frozenset[str]:
    """`ShardSet.tokenizer_fingerprint` of data made for the preset: of either case where the
    preset does not say. Errors as of `read_tokenizer`.
    """
    tokens, lowercase = read_tokenizer(preset, field=field)
    cases = (True, False) if lowercase is None else (lowercase,)
    return frozenset(
        fingerprint(tokens, lowercase=case, has_text_pair=has_text_pair) for case in cases
    )


def read_json(path: Path, *, field: str) -> dict[str, Any]:
    """The object in a file; empty when there is no such file.

    Raises:
        ValueError: it is there, and does not hold a JSON object.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise damaged(path, f"no JSON ({error})", field=field) from error
    if not isinstance(content, dict):
        raise damaged(path, f"JSON of a {type(content).__name__}", field=field)
    return content


def damaged(path: Path, what: str, *, field: str) -> ValueError:
    """The error for a file that does not hold what it should."""
    return ValueError(
        f"{field}: {path.name} must be whole, as its makers published it; received {what} in "
        f"{path}; download or copy it again (`git lfs pull`, where it came by git)"
    )


def first_line(error: Exception) -> str:
    """Of what an error says; KerasHub goes on for many."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _read_tokens(folder: Path, field: str) -> tuple[str, ...]:
    for name in _VOCABULARY_FILES:
        if (folder / name).is_file():
            try:
                return load_vocabulary(folder / name)
            except UnicodeDecodeError as error:
                raise damaged(folder / name, f"no UTF-8 ({error})", field=field) from error
    model = read_json(folder / "tokenizer.json", field=field).get("model")
    ids = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(ids, dict) and sorted(ids.values()) == list(range(len(ids))):
        return tuple(sorted(ids, key=ids.__getitem__))
    raise ValueError(
        f"{field}: must be a folder with {' or '.join(_VOCABULARY_FILES)}, or a WordPiece "
        f"tokenizer.json; received {folder}; copy the missing file there, correct the path, or "
        "choose a BERT preset"
    )


def _read_lowercase(folder: Path, field: str) -> bool | None:
    tokenizer = read_json(folder / "tokenizer.json", field=field)
    said = (
        (tokenizer.get("config") or {}).get("lowercase"),  # KerasHub
        read_json(folder / "tokenizer_config.json", field=field).get("do_lower_case"),
        (tokenizer.get("normalizer") or {}).get("lowercase"),  # Hugging Face
    )
    return next((lower for lower in said if isinstance(lower, bool)), None)


def _download(preset: str, field: str) -> Tokenizer:
    import keras_hub

    try:
        tokenizer = keras_hub.models.BertTokenizer.from_preset(preset)
    except (ValueError, OSError, ImportError) as error:
        raise ValueError(
            f"{field}: must be a KerasHub BERT preset or a folder; received {preset!r}, which "
            f"could not be loaded ({first_line(error)}); correct the name, or download it and give "
            "its folder"
        ) from error
    return tuple(tokenizer.get_vocabulary()), bool(tokenizer.lowercase)
