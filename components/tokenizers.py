"""One way to every tokenizer: by its type and its file. Heavy only when called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from . import files
from .vocabulary import TokenizerType, load_vocabulary

if TYPE_CHECKING:
    from .graph_tokenizer import TextTokenizer


def load(
    kind: TokenizerType,
    path: str | Path,
    *,
    lowercase: bool,
    sequence_length: int,
    has_text_pair: bool,
) -> TextTokenizer:
    """The tokenizer of a vocabulary file; `lowercase` is for WordPiece, other files say it."""
    if kind == "wordpiece":
        from .graph_tokenizer import WordpieceTokenizer

        return WordpieceTokenizer(
            load_vocabulary(path),
            lowercase=lowercase,
            sequence_length=sequence_length,
            has_text_pair=has_text_pair,
        )
    content = files.read_bytes(str(path))
    if kind == "sentencepiece":
        from .sentencepiece_tokenizer import SentencepieceTokenizer

        return SentencepieceTokenizer(
            content, sequence_length=sequence_length, has_text_pair=has_text_pair
        )
    from .byte_pair_tokenizer import BytePairTokenizer

    return BytePairTokenizer(content, sequence_length=sequence_length, has_text_pair=has_text_pair)


def tokens(kind: TokenizerType, path: str | Path) -> tuple[str, ...]:
    """What each id is spelled as; its length is the size of the vocabulary. No TensorFlow."""
    if kind == "wordpiece":
        return load_vocabulary(path)
    content = files.read_bytes(str(path))
    if kind == "sentencepiece":
        from . import sentencepiece_model

        return sentencepiece_model.tokens(content)
    from . import byte_pair

    return byte_pair.tokens(content)
