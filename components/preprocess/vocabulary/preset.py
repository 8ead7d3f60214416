"""The tokenizer of a pretrained model: a local KerasHub or Hugging Face folder, or a KerasHub name.

A folder is read without Keras; a name, of a BERT, is downloaded by KerasHub. What is in the folders
of models with SentencePiece or byte pairs, see `preset_subwords`.
"""

from __future__ import annotations

import hashlib

from ... import files
from ...example_spec import END_TOKEN, PAD_TOKEN, START_TOKEN, UNKNOWN_TOKEN
from ...presets import folder_of, read_tokenizer
from ...vocabulary import TokenizerType, save_vocabulary
from . import preset_subwords

_FIELD = "preprocess.vocabulary.preset"


def is_folder(preset: str) -> bool:
    """Whether it names a folder rather than something to download."""
    return folder_of(preset) is not None


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
    tokens, _ = read_tokenizer(preset, field=_FIELD)
    return hashlib.sha256("\n".join(tokens).encode()).hexdigest()


def save_file(preset: str, path: str, *, lowercase: bool, kind: TokenizerType) -> None:
    """Writes what `tokenizers.load` reads; `ValueError` as of `check`."""
    if kind == "wordpiece":
        save_vocabulary(load(preset, lowercase=lowercase), path)
    else:
        files.write_bytes(path, preset_subwords.read(kind, preset, lowercase=lowercase))


def load(preset: str, *, lowercase: bool) -> tuple[str, ...]:
    """The tokens by id; `ValueError` when they do not fit this tokenizer."""
    tokens, lower = read_tokenizer(preset, field=_FIELD)
    missing = {PAD_TOKEN, UNKNOWN_TOKEN, START_TOKEN, END_TOKEN} - set(tokens)
    if missing or tokens[0] != PAD_TOKEN:
        raise ValueError(
            f"{_FIELD}: must hold a BERT WordPiece vocabulary that starts with {PAD_TOKEN}; "
            f"received {preset!r}, which starts with {tokens[:1]} and lacks "
            f"{sorted(missing) or 'nothing'}; choose a BERT preset"
        )
    preset_subwords.check_case(preset, lower, lowercase)
    return tokens
