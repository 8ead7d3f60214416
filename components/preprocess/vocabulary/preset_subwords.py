"""The SentencePiece model or byte-level BPE of a pretrained model, from a local file or folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

_FIELD = "preprocess.vocabulary.preset"

_MODEL_FILES = (
    "assets/tokenizer/vocabulary.spm",  # KerasHub
    "sentencepiece.model",
    "spiece.model",
    "tokenizer.model",
)
_MERGES_FILES = (
    ("assets/tokenizer/vocabulary.json", "assets/tokenizer/merges.txt"),  # KerasHub
    ("vocab.json", "merges.txt"),
)
_RENUMBERED = ("XLMRoberta", "Camembert", "MBart", "Pegasus")
"""Hugging Face classes whose models have other ids than their SentencePiece file."""


def read(kind: Literal["sentencepiece", "bpe"], preset: str, *, lowercase: bool | None) -> bytes:
    """The content of the file that `tokenizers.load` takes; None: whatever its case.

    Raises:
        ValueError: there is no such file, it cannot be read, or it does not fit.
    """
    path = Path(preset).expanduser()
    if not path.exists():
        raise ValueError(
            f"{_FIELD}: must be a file or a folder with type {kind}; received {preset!r}, which "
            "does not exist; correct the path, or download it and give its folder"
        )
    try:
        if kind == "sentencepiece":
            content, lower = _sentencepiece(path)
        else:
            content, lower = _byte_pairs(path)
    except (RuntimeError, OSError, KeyError, json.JSONDecodeError) as error:
        raise _unfit(kind, preset, f"which could not be read ({error})") from error
    if lowercase is not None:
        check_case(preset, lower, lowercase)
    return content


def check_case(preset: str, lower: bool | None, lowercase: bool) -> None:
    """`ValueError` when the preset is known to have been trained on the other case."""
    if lower is not None and lower != lowercase:
        raise ValueError(
            f"preprocess.vocabulary.lowercase: must be {lower} as {preset!r} was trained; "
            f"received {lowercase}; set it to {str(lower).lower()}"
        )


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty when there is none."""
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def _unfit(kind: str, preset: object, what: str) -> ValueError:
    files = {
        "sentencepiece": f"a .model file, or a folder with one of {', '.join(_MODEL_FILES)}",
        "bpe": "a byte-level BPE tokenizer.json, or a folder with one, or with vocab.json and "
        "merges.txt",
    }
    return ValueError(
        f"{_FIELD}: must be {files[kind]}; received {str(preset)!r}, {what}; correct the path, or "
        "preprocess.vocabulary.type"
    )


def _sentencepiece(path: Path) -> tuple[bytes, bool]:
    from ...sentencepiece_model import is_lowercasing, special_ids

    candidates = [path / name for name in _MODEL_FILES] if path.is_dir() else [path]
    file = next((file for file in candidates if file.is_file()), None)
    if file is None:
        raise _unfit("sentencepiece", path, "where there is none")
    if path.is_dir():
        name = str(read_json(path / "tokenizer_config.json").get("tokenizer_class", ""))
        if name.startswith(_RENUMBERED):
            raise _unfit("sentencepiece", path, f"whose {name} numbers its pieces in another way")
    content = file.read_bytes()
    special_ids(content)
    return content, is_lowercasing(content)


def _byte_pairs(path: Path) -> tuple[bytes, bool]:
    from ...byte_pair import is_byte_level, is_lowercasing, special_ids

    content = _tokenizer_json(path)
    if not is_byte_level(content):
        raise _unfit("bpe", path, "which is of another type")
    special_ids(content)
    return content, is_lowercasing(content)


def _tokenizer_json(path: Path) -> bytes:
    from ...byte_pair import from_merges

    if path.is_file():
        return path.read_bytes()
    if read_json(path / "tokenizer.json").get("model"):  # KerasHub's file of this name has none
        return (path / "tokenizer.json").read_bytes()
    for vocabulary, merges in _MERGES_FILES:
        if (path / vocabulary).is_file() and (path / merges).is_file():
            return from_merges(path / vocabulary, path / merges)
    raise _unfit("bpe", path, "where there is none")
