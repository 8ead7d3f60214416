"""What a tokenizer.json says of itself, through the `tokenizers` library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .vocabulary import SpecialIds, find_special_ids


def load_tokenizer(content: bytes) -> Any:
    """The library's object; special tokens that are written out in a text are text."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_buffer(content)
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def special_ids(content: bytes) -> SpecialIds:
    """`ValueError` when no token ends a text."""
    return find_special_ids(_ids(content).items())


def tokens(content: bytes) -> tuple[str, ...]:
    """The tokens by id, bytes as the letters that stand for them; "" for an id that is not used."""
    by_id = {i: token for token, i in _ids(content).items()}
    return tuple(by_id.get(i, "") for i in range(1 + max(by_id)))


def is_byte_level(content: bytes) -> bool:
    """Whether it merges byte pairs, so that every text has ids."""
    parsed = json.loads(content)
    is_bpe = parsed.get("model", {}).get("type") == "BPE"
    return is_bpe and "ByteLevel" in _types(parsed.get("pre_tokenizer"))


def is_lowercasing(content: bytes) -> bool:
    """Whether its normalizer takes case away."""
    return "Lowercase" in _types(json.loads(content).get("normalizer"))


def from_merges(vocabulary_file: Path, merges_file: Path) -> bytes:
    """The tokenizer.json of a GPT-2 style vocab.json and merges.txt."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary, merges = models.BPE.read_file(str(vocabulary_file), str(merges_file))
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer.to_str().encode()


def _ids(content: bytes) -> dict[str, int]:
    parsed = json.loads(content)
    added = {token["content"]: token["id"] for token in parsed.get("added_tokens") or ()}
    return dict(parsed["model"]["vocab"]) | added


def _types(part: dict[str, Any] | None) -> set[str]:
    """Names of a normalizer or pre-tokenizer and of what it is a sequence of."""
    if part is None:
        return set()
    below = (*part.get("normalizers", ()), *part.get("pretokenizers", ()))
    return {part["type"]}.union(*map(_types, below))
