"""Texts -> MinHash signatures, and the bands of them under which similar texts meet.

Two texts agree in each value of their signatures with the probability that is the Jaccard
similarity of their sets of shingles. A signature is cut into bands; texts that agree in a whole
band are candidates (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3rd edition, sections
3.3 and 3.4). Values are those of rensa's R-MinHash (after Dahlgaard et al. 2017,
https://arxiv.org/abs/1704.04370), of which 16 bits are kept: others are equal by chance once in
65,536, and files are half as large (b-bit minwise hashing, Li and König 2010).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .shingles import mixed, shingles

SIGNATURE_VALUES = 128
"""The estimate of a similarity of 0.8 has then a standard error of 0.035."""

SEED = 42
MARGIN = 0.1
GROUP_CHARACTERS = 1 << 18  # so that the arrays of a group stay in the processor's cache

_MULTIPLIER = 0xD1342543DE82EF95


@dataclass(frozen=True, kw_only=True)
class Bands:
    """How signatures are cut: `count` bands of `rows` values each."""

    count: int
    rows: int

    def found_share(self, similarity: float) -> float:
        """The share of pairs of this similarity that meet in a band: `1 - (1 - s^r)^b`."""
        return float(1 - (1 - similarity**self.rows) ** self.count)


def bands_for(similarity: float) -> Bands:
    """The longest bands that still find half of the pairs that are `MARGIN` less similar.

    At 0.8: 16 bands of 8, which find 95 % of the pairs of 0.8 and 99.99 % of those of 0.9.
    """
    cuts = [Bands(count=SIGNATURE_VALUES // rows, rows=rows) for rows in range(1, 33)]
    # The share at 0.5 and more falls as bands get longer, though fewer values may be used.
    return [cut for cut in cuts if cut.found_share(similarity - MARGIN) >= 0.5][-1]


def signatures(texts: Sequence[str]) -> Any:
    """uint16 (B, SIGNATURE_VALUES), the same in every process; errors as of rensa."""
    parts = [_signatures(group) for group in _groups(texts)]
    return np.concatenate([np.empty((0, SIGNATURE_VALUES), np.uint16), *parts])


def band_hashes(signatures: Any, bands: Bands) -> Any:
    """uint64 (B, bands.count), evenly spread; equal where all values of a band are."""
    used = signatures[:, : bands.count * bands.rows].astype(np.uint64)
    cut = used.reshape(len(signatures), bands.count, bands.rows)
    factors = [pow(_MULTIPLIER, place, 1 << 64) for place in range(1, bands.rows + 1)]
    return mixed((cut * np.array(factors, np.uint64)).sum(axis=2, dtype=np.uint64))


def num_differing(one: Any, other: Any) -> Any:
    """How many of the values of signatures differ, row by row; uint8."""
    return (one != other).sum(axis=1, dtype=np.uint8)


def _signatures(texts: list[str]) -> Any:
    from rensa import RMinHash

    hashes, edges = shingles(texts)
    digests = RMinHash.digest_matrix_from_flat_token_hashes(hashes, edges, SIGNATURE_VALUES, SEED)
    return np.array(digests.to_rows(), np.uint32).astype(np.uint16)


def _groups(texts: Sequence[str]) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for text in texts:
        group.append(text)
        size += len(text)
        if size >= GROUP_CHARACTERS:
            yield group
            group, size = [], 0
    if group:
        yield group
