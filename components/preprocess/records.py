"""Arrays -> serialised tf.Examples. Pure: numpy only.

Written by hand: 5 µs for a row of 180 tokens, 17 with python protobuf (2 CPU cores, 2026-11),
and the features always lie in the same order. A row is a message of nothing but int64 lists:

    Example  { features = 1 { feature = 1 { key = 1, value = 2 { int64_list = 3 { 1: packed }}}}}

See https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

Ragged = tuple[Any, Any]
"""Integers from 0 to `MAX_VALUE` `(N,)`, row after row, and row lengths `(B,)`."""

MAX_VALUE = 1 << 21


def encode_examples(features: Mapping[str, Ragged]) -> list[bytes]:
    """One serialised tf.Example a row, its features in the order of `features`."""
    columns = [
        _encode_feature(name, np.asarray(values), np.asarray(row_lengths))
        for name, (values, row_lengths) in features.items()
    ]
    return [_field(1, b"".join(row)) for row in zip(*columns, strict=True)]


def _encode_feature(name: str, values: Any, row_lengths: Any) -> list[bytes]:
    """One entry of the map `Features.feature` a row."""
    packed, edges = _varints(values, row_lengths)
    key = _field(1, name.encode())
    return [
        _field(1, key + _field(2, _field(3, _field(1, packed[start:end]))))
        for start, end in pairwise(edges)
    ]


def _varints(values: Any, row_lengths: Any) -> tuple[bytes, list[int]]:
    """All values as base-128 varints of one to three bytes, and the edges of the rows in them."""
    assert not values.size or values.max() < MAX_VALUE
    two, three = values >= 1 << 7, values >= 1 << 14
    digits = np.empty((len(values), 3), np.uint8)
    digits[:, 0] = values & 0x7F | two << 7  # the top bit: more bytes follow
    digits[:, 1] = values >> 7 & 0x7F | three << 7
    digits[:, 2] = values >> 14
    used = np.stack([np.ones_like(two), two, three], axis=1)
    value_edges = _edges(used.sum(axis=1, dtype=np.int64))
    return digits[used].tobytes(), value_edges[_edges(row_lengths)].tolist()


def _edges(lengths: Any) -> Any:
    """Where pieces of these lengths begin and end, one after the other."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return _HEADS[number] + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    if value < 128:
        return _BYTES[value]
    return bytes((value & 0x7F | 0x80,)) + _varint(value >> 7)


_BYTES = [bytes((value,)) for value in range(128)]
_HEADS = [bytes((number << 3 | 2,)) for number in range(4)]
