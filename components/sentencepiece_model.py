"""What a serialised SentencePiece model says of itself, through the `sentencepiece` package."""

from __future__ import annotations

from typing import Any

from .vocabulary import SpecialIds, find_special_ids


def load_processor(model: bytes) -> Any:
    """The package's object.

    Raises:
        RuntimeError: the bytes are no model.
    """
    from sentencepiece import SentencePieceProcessor

    return SentencePieceProcessor(model_proto=model)


def special_ids(model: bytes) -> SpecialIds:
    """`ValueError` when nothing in the model ends a text."""
    processor = load_processor(model)
    ids = range(processor.vocab_size())
    # Only what no text can give: pieces that are spelled like them are text.
    special = [i for i in ids if processor.is_control(i) or processor.is_unknown(i)]
    return find_special_ids((processor.id_to_piece(i), i) for i in special)


def tokens(model: bytes) -> tuple[str, ...]:
    """The pieces by id."""
    processor = load_processor(model)
    return tuple(processor.id_to_piece(i) for i in range(processor.vocab_size()))


def is_lowercasing(model: bytes) -> bool:
    """Whether the model's normalization folds case."""
    return bool(load_processor(model).Normalize("A").endswith("a"))
