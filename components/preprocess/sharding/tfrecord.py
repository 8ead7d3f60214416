"""Serialised examples -> the bytes of a TFRecord file, without TensorFlow.

A record is its length (8 bytes, little-endian), the masked CRC-32C of these, the data, and the
masked CRC-32C of the data: https://www.tensorflow.org/tutorials/load_data/tfrecord.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable

import google_crc32c

_MASK_DELTA = 0xA282EAD8


def frame(examples: Iterable[bytes]) -> bytes:
    """The records of `examples`, one after the other."""
    parts: list[bytes] = []
    for example in examples:
        parts += (_head(len(example)), example, _masked_crc(example))
    return b"".join(parts)


@functools.lru_cache(maxsize=4096)
def _head(length: int) -> bytes:
    packed = struct.pack("<Q", length)
    return packed + _masked_crc(packed)


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF)
