"""The vocabulary file, and the fingerprint that says whether two tokenizers are the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

TOKENIZER_VERSION = 1
"""Raised when `graph_tokenizer` would give other ids for the same vocabulary and text."""


def load_vocabulary(path: str | Path) -> tuple[str, ...]:
    """The tokens by id: one a line, as WordPiece vocabularies are kept everywhere."""
    # Only "\n" ends a line: a token may be U+2028 or U+0085, at which splitlines() would cut.
    tokens = Path(path).read_bytes().decode("utf-8").split("\n")
    if tokens and not tokens[-1]:
        tokens.pop()
    return tuple(token.removesuffix("\r") for token in tokens)


def save_vocabulary(vocabulary: Sequence[str], path: str | Path) -> None:
    """Writes what `load_vocabulary` reads."""
    Path(path).write_bytes("".join(f"{token}\n" for token in vocabulary).encode("utf-8"))


def fingerprint(vocabulary: Sequence[str], *, lowercase: bool, has_text_pair: bool) -> str:
    """SHA-256 over everything that the ids of a text depend on, the cutting to length left out."""
    parts = [TOKENIZER_VERSION, lowercase, has_text_pair, list(vocabulary)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
