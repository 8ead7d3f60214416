"""The vocabulary file, and the fingerprint that says whether two tokenizers are the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import files

TokenizerType = Literal["wordpiece", "sentencepiece", "bpe"]

TOKENIZER_VERSION = 2
"""Raised when `graph_tokenizer` would give other ids for the same vocabulary and text."""


@dataclass(frozen=True, kw_only=True)
class SpecialIds:
    """Ids of the tokens that stand for no text."""

    pad: int  # 0 where a pretrained vocabulary has none: masks, not ids, say what is padding
    end: int
    start: int | None = None  # None: rows begin with their text
    unknown: int | None = None  # None: there are no unknown words, as with bytes
    mask: int | None = None


_SPELLINGS = {
    "pad": ("[PAD]", "<pad>", "<|pad|>"),
    "end": ("[SEP]", "</s>", "<eos>", "<|endoftext|>", "<|end_of_text|>"),
    "start": ("[CLS]", "<s>", "<bos>", "<|begin_of_text|>"),
    "unknown": ("[UNK]", "<unk>"),
    "mask": ("[MASK]", "<mask>"),
}


def find_special_ids(ids: Iterable[tuple[str, int]]) -> SpecialIds:
    """By how the usual vocabularies spell them, of (token, id) pairs.

    Raises:
        ValueError: nothing ends a text.
    """
    known = dict(ids)
    found = {
        name: next((known[token] for token in spellings if token in known), None)
        for name, spellings in _SPELLINGS.items()
    }
    end = found.pop("end")
    if end is None:
        raise ValueError(
            f"vocabulary: must hold a token that ends a text, one of "
            f"{', '.join(_SPELLINGS['end'])}; received {len(known):,} tokens and none of them; "
            "choose another preset"
        )
    return SpecialIds(pad=found.pop("pad") or 0, end=end, **found)


def load_vocabulary(path: str | Path) -> tuple[str, ...]:
    """The tokens by id: one a line, as WordPiece vocabularies are kept everywhere."""
    # Only "\n" ends a line: a token may be U+2028 or U+0085, at which splitlines() would cut.
    tokens = files.read_bytes(str(path)).decode("utf-8").split("\n")
    if tokens and not tokens[-1]:
        tokens.pop()
    return tuple(token.removesuffix("\r") for token in tokens)


def save_vocabulary(vocabulary: Sequence[str], path: str | Path) -> None:
    """Writes what `load_vocabulary` reads."""
    files.write_bytes(str(path), "".join(f"{token}\n" for token in vocabulary).encode("utf-8"))


def fingerprint(vocabulary: Sequence[str], *, lowercase: bool, has_text_pair: bool) -> str:
    """SHA-256 over everything that the ids of a text depend on, the cutting to length left out."""
    parts = [TOKENIZER_VERSION, lowercase, has_text_pair, list(vocabulary)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def file_fingerprint(
    kind: TokenizerType, path: str | Path, *, lowercase: bool, has_text_pair: bool
) -> str:
    """`fingerprint` of the tokenizer whose vocabulary or model is the file at `path`."""
    if kind == "wordpiece":
        tokens = load_vocabulary(path)
        return fingerprint(tokens, lowercase=lowercase, has_text_pair=has_text_pair)
    model = hashlib.sha256(files.read_bytes(str(path))).hexdigest()
    return fingerprint([kind, model], lowercase=lowercase, has_text_pair=has_text_pair)
