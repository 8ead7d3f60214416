"""Plain ASCII texts -> token ids without TensorFlow, the same ones as the tokenizer's graph.

Most requests are plain, and what a graph of small ops takes for one short text can be as much as a
small model takes itself. Other texts, those with markup too, are left to the graph, which is what
the ids are defined by.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..example_spec import PADDING_MASK, TOKEN_IDS, UNKNOWN_TOKEN

if TYPE_CHECKING:
    import numpy as np

FILE = "tokenizer.json"
"""Beside the model: a file of the `tokenizers` library."""

_MAX_WORD = 100  # longer words are unknown, as in the graph
_SPACES = dict.fromkeys((*range(0x20), 0x7F), " ")


def description(vocabulary: Sequence[str], *, lowercase: bool, sequence_length: int) -> str:
    """What `FILE` holds for a WordPiece vocabulary: rows of one text, special tokens included.

    No token is looked for in the text itself: `[SEP]` in a text is three pieces, as in the graph.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    from ..vocabulary import find_special_ids

    special = find_special_ids((token, i) for i, token in enumerate(vocabulary))
    tokenizer = Tokenizer(
        models.WordPiece(
            {token: i for i, token in enumerate(vocabulary)},
            unk_token=UNKNOWN_TOKEN,
            max_input_chars_per_word=_MAX_WORD,
        )
    )
    if lowercase:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = {"start": special.start, "end": special.end}
    ends = {name: i for name, i in ends.items() if i is not None}
    tokenizer.post_processor = processors.TemplateProcessing(
        single=" ".join([*(["start"] if "start" in ends else []), "$A", "end"]),
        special_tokens=list(ends.items()),
    )
    tokenizer.enable_truncation(sequence_length)
    described: str = tokenizer.to_str()
    return described


class PlainTokenizer:
    """Several threads may ask at once."""

    def __init__(self, file: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(file))

    def rows(self, texts: Sequence[str | bytes]) -> list[Sequence[int] | None]:
        """Token ids of each text; None for one that is not plain."""
        plain = [_plain(text) for text in texts]
        found = iter(
            self._tokenizer.encode_batch_fast([text for text in plain if text is not None])
        )
        return [None if text is None else next(found).ids for text in plain]


def padded(rows: Sequence[Sequence[int]]) -> dict[str, np.ndarray]:
    """Model inputs int32 `(B, L)`, L the longest row; with no row at all, `(0, 1)`."""
    import numpy as np

    lengths = np.array([len(row) for row in rows], np.int32)
    token_ids = np.zeros((len(rows), max(lengths, default=1)), np.int32)  # padded with 0
    for row_of, row in zip(token_ids, rows, strict=True):
        row_of[: len(row)] = row
    mask = np.arange(token_ids.shape[1]) < lengths[:, None]
    return {TOKEN_IDS: token_ids, PADDING_MASK: mask.astype(np.int32)}


def plain_tokenizer(folder: Path) -> PlainTokenizer | None:
    """That of a model's folder; None where the model or this machine has none."""
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        return PlainTokenizer(file)
    except ImportError:
        return None


def _plain(text: str | bytes) -> str | None:
    """A text that neither cleaning nor normalization has anything to do with but blanks and case;
    control characters are blanks there."""
    try:
        found = text.decode("ascii") if isinstance(text, bytes) else text
    except UnicodeDecodeError:
        return None
    if not found.isascii() or "<" in found:
        return None
    return found if found.isprintable() else found.translate(_SPACES)
