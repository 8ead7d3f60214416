"""The tokenizer of a pretrained model: a local KerasHub or Hugging Face folder, or a KerasHub name.

A folder is read without Keras; a name, of a BERT, is downloaded by KerasHub. What is in the folders
of models with SentencePiece or byte pairs, see `preset_subwords`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from ... import files
from ...example_spec import END_TOKEN, PAD_TOKEN, START_TOKEN, UNKNOWN_TOKEN
from ...vocabulary import TokenizerType, load_vocabulary, save_vocabulary
from . import preset_subwords
from .preset_subwords import read_json

_VOCABULARY_FILES = ("assets/tokenizer/vocabulary.txt", "vocab.txt")
_FIELD = "preprocess.vocabulary.preset"


def is_folder(preset: str) -> bool:
    """Whether it names a folder rather than something to download."""
    return Path(preset).expanduser().is_dir()


def check(preset: str, *, lowercase: bool, kind: TokenizerType = "wordpiece") -> None:
    """`ValueError` when a folder or file does not hold a tokenizer of this kind that fits."""
    if kind != "wordpiece":
        preset_subwords.read(kind, preset, lowercase=lowercase)
    elif is_folder(preset):
        load(preset, lowercase=lowercase)
    elif preset.startswith((".", "/", "~")):
        raise ValueError(
            f"{_FIELD}: must be a KerasHub preset name or a folder; received {preset!r}, which "
            "does not exist; correct the path"
        )


def digest(preset: str, *, kind: TokenizerType = "wordpiece") -> str:
    """What stands for the preset in a cache key: the content of its tokenizer, or a name.

    KerasHub's names without a version are taken for what they are today.
    """
    if kind != "wordpiece":
        return hashlib.sha256(preset_subwords.read(kind, preset, lowercase=None)).hexdigest()
    if not is_folder(preset):
        return preset
    tokens = _read_folder(Path(preset).expanduser())
    return hashlib.sha256("\n".join(tokens).encode()).hexdigest()


def save_file(preset: str, path: str, *, lowercase: bool, kind: TokenizerType) -> None:
    """Writes what `tokenizers.load` reads; `ValueError` as of `check`."""
    if kind == "wordpiece":
        save_vocabulary(load(preset, lowercase=lowercase), path)
    else:
        files.write_bytes(path, preset_subwords.read(kind, preset, lowercase=lowercase))


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
    preset_subwords.check_case(preset, lower, lowercase)
    return tokens


def _read_folder(folder: Path) -> tuple[str, ...]:
    for name in _VOCABULARY_FILES:
        if (folder / name).is_file():
            return load_vocabulary(folder / name)
    ids = read_json(folder / "tokenizer.json").get("model", {}).get("vocab")
    if isinstance(ids, dict) and sorted(ids.values()) == list(range(len(ids))):
        return tuple(sorted(ids, key=ids.__getitem__))
    raise ValueError(
        f"{_FIELD}: must be a folder with {' or '.join(_VOCABULARY_FILES)}, or a WordPiece "
        f"tokenizer.json; received {folder}; correct the path, or choose a BERT preset"
    )


def _read_lowercase(folder: Path) -> bool | None:
    """What the folder says about case; None when it says nothing."""
    said = (
        read_json(folder / "tokenizer.json").get("config", {}).get("lowercase"),  # KerasHub
        read_json(folder / "tokenizer_config.json").get("do_lower_case"),  # Hugging Face
        (read_json(folder / "tokenizer.json").get("normalizer") or {}).get("lowercase"),
    )
    return next((lower for lower in said if isinstance(lower, bool)), None)


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
