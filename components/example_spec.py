"""Names, types and shapes of one stored example: shared by encoder, parser and signatures.

Stored rows are not padded. `[CLS] text [SEP]`, or `[CLS] text [SEP] pair [SEP]`.
"""

from __future__ import annotations

TOKEN_IDS = "token_ids"  # int64, 1 to sequence_length values
SEGMENT_IDS = "segment_ids"  # int64, as many; stored only when the data has text pairs
PADDING_MASK = "padding_mask"  # never stored: 1 where token_ids came from the row
LABEL = "label"  # int64, one id; of multi-label data a 1 or 0 for each label
POSITIONS = "positions"  # int64, as many; only in windows of language-model shards

PAD_TOKEN, UNKNOWN_TOKEN, START_TOKEN, END_TOKEN = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIAL_TOKENS = (PAD_TOKEN, UNKNOWN_TOKEN, START_TOKEN, END_TOKEN, "[MASK]")
"""Reserved; a learnt vocabulary starts with them, so [PAD] is id 0."""

TEXT, TEXT_PAIR = "text", "text_pair"
"""Names of the string inputs of the serving signature and of the columns of the texts files."""

ID = "id"
"""Column of the texts files: the content of a row as a hash."""


def kept_column(name: str) -> str:
    """Column of the texts files for a column of the source that is kept besides."""
    return f"kept.{name}"


SPLITS = ("train", "validation", "test")

SHARDS_READ_AT_ONCE = 8
"""By training: that many or more keep its input from waiting for a file."""


def model_inputs(has_text_pair: bool) -> tuple[str, ...]:
    """Names of the int32 `(B, L)` features that every model takes.

    `segment_ids` is among them only when the data has text pairs; a model that needs segments
    anyway (BERT) is fed zeros by its own builder.
    """
    return (TOKEN_IDS, PADDING_MASK, SEGMENT_IDS) if has_text_pair else (TOKEN_IDS, PADDING_MASK)
