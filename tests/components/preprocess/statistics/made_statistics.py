"""Statistics of made-up rows, tokenised by words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tpuline.components.preprocess.statistics.builder import SampleShares, StatisticsBuilder
from tpuline.components.preprocess.statistics.sums import Statistics
from tpuline.components.preprocess.statistics.terms import token_table

VOCABULARY = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *("parcel", "late", "refund", "please", "thanks", "the", "is", "my", "invoice", "card"),
    *("##s", ".", "москва"),
)
LENGTH = 16
ALL = SampleShares(languages=1.0, terms=1.0)
NONE = SampleShares(languages=0.0, terms=0.0)

Row = tuple[str, int | None]


def ids_of(text: str) -> list[int]:
    """[CLS] words [SEP]; a final s is a piece of its own, other words are unknown."""
    found = [VOCABULARY.index("[CLS]")]
    for word in text.split():
        if word in VOCABULARY:
            found.append(VOCABULARY.index(word))
        elif word.endswith("s") and word[:-1] in VOCABULARY:
            found += [VOCABULARY.index(word[:-1]), VOCABULARY.index("##s")]
        else:
            found.append(VOCABULARY.index("[UNK]"))
    return [*found, VOCABULARY.index("[SEP]")]


def batch(rows: Sequence[Row], *, pairs: Sequence[str] | None = None) -> dict[str, Any]:
    """What a `StatisticsBuilder` is given for rows of (text, label id)."""
    whole = [ids_of(text) for text, _ in rows]
    kept = [ids[:LENGTH] for ids in whole]
    labels = [label for _, label in rows]
    return {
        "texts": [text for text, _ in rows],
        "pairs": pairs,
        "labels": None if None in labels else labels,
        "token_ids": np.array([i for ids in kept for i in ids], np.int32),
        "row_lengths": np.array([len(ids) for ids in kept], np.int64),
        "truncated": np.array([len(ids) > LENGTH for ids in whole]),
        "keys": [hashlib.blake2b(text.encode(), digest_size=16).digest() for text, _ in rows],
    }


def statistics(
    rows: Sequence[Row],
    *,
    num_labels: int = 2,
    shares: SampleShares = NONE,
    batch_rows: int = 256,
    pairs: Sequence[str] | None = None,
) -> Statistics:
    """The statistics of rows of (text, label id)."""
    builder = StatisticsBuilder(
        token_table(VOCABULARY), num_labels=num_labels, sequence_length=LENGTH, shares=shares
    )
    for start in range(0, len(rows), batch_rows):
        end = start + batch_rows
        builder.add(**batch(rows[start:end], pairs=None if pairs is None else pairs[start:end]))
    return builder.build()
