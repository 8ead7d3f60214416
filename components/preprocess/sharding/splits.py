"""Where a row goes: its content decides, never its file or its place in one. Pure.

A row's content is its cleaned text, and cleaned pair, whatever their case and compatibility forms,
but not its label: texts that are equal in this sense are duplicates. They share their place in the
order and, when splits are cut, their split.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

KEY_BITS = 128

_ORDER_SALT, _SPLIT_SALT = b"tpuline order", b"tpuline split"


def content(text: str, text_pair: str | None) -> str:
    """What of a cleaned row counts when duplicates are told: NFKC, case folded; NUL before a pair.

    No cleaned text has a NUL.
    """
    whole = text if text_pair is None else f"{text}\0{text_pair}"
    return whole.lower() if whole.isascii() else unicodedata.normalize("NFKC", whole).casefold()


def content_key(row_content: str) -> bytes:
    """16 bytes of a row's `content`, evenly spread: rows are stored in the order of their keys."""
    return hashlib.blake2b(
        row_content.encode(), digest_size=KEY_BITS // 8, person=_ORDER_SALT
    ).digest()


def cut_split(key: bytes, shares: Mapping[str, float]) -> str:
    """The split of a train-source row: each named one gets its share, train the rest.

    Hashed once more, so that a split is no contiguous piece of the order.
    """
    drawn = hashlib.blake2b(key, digest_size=7, person=_SPLIT_SALT).digest()  # 56 bits: exact
    point = int.from_bytes(drawn, "big") / 2**56
    for split, share in shares.items():
        if point < share:
            return split
        point -= share
    return "train"


@dataclass(frozen=True, kw_only=True)
class KeyRange:
    """One of `count` equal pieces of the space of keys; `count` is a power of two."""

    index: int
    count: int

    def __post_init__(self) -> None:
        assert self.count.bit_count() == 1 and 0 <= self.index < self.count

    @property
    def first(self) -> bytes:
        """The smallest key inside."""
        return self._edge(self.index)

    @property
    def last(self) -> bytes:
        """The largest key inside."""
        return (self._int_edge(self.index + 1) - 1).to_bytes(KEY_BITS // 8, "big")

    def overlaps(self, other: KeyRange) -> bool:
        """Whether a key can lie in both."""
        return (
            self.index * other.count < (other.index + 1) * self.count
            and other.index * self.count < (self.index + 1) * other.count
        )

    def _int_edge(self, index: int) -> int:
        return index * 2**KEY_BITS // self.count

    def _edge(self, index: int) -> bytes:
        return self._int_edge(index).to_bytes(KEY_BITS // 8, "big")


def key_ranges(count: int) -> tuple[KeyRange, ...]:
    """All of the space of keys, in order."""
    return tuple(KeyRange(index=index, count=count) for index in range(count))


def range_of(key: bytes, count: int) -> int:
    """The index of the one of `count` ranges that holds `key`."""
    return int.from_bytes(key[:8], "big") * count >> 64


def num_ranges(num_bytes: int, target_bytes: int, most: int) -> int:
    """How many ranges, a power of two, hold about `target_bytes` each or less."""
    wanted = max(1, -(-num_bytes // target_bytes))
    return min(most, 1 << (wanted - 1).bit_length())
