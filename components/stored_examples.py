"""A shard -> its rows as numbers, without TensorFlow: for looking at a few of them.

The framing is told in `preprocess.tfrecord`, the message in `preprocess.records`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

from . import files

_HEAD_BYTES = 12  # length and its checksum
_LENGTH_DELIMITED = 2  # wire type


def read_examples(path: str) -> Iterator[dict[str, list[int]]]:
    """The integers of each feature, row after row.

    Raises:
        OSError: there is no such file.
        ValueError: it is cut short or damaged, or holds something else.
    """
    with files.reading(path) as file:
        for number, record in enumerate(_records(file), start=1):
            if record is None:
                raise ValueError(f"{path}: is cut short or damaged in row {number}")
            try:
                yield _features(record)
            except (IndexError, UnicodeDecodeError, KeyError) as error:
                raise ValueError(f"{path}: row {number} is no row of integers") from error


def _records(file: BinaryIO) -> Iterator[bytes | None]:
    """The data of each record; None in place of a broken one, after which nothing can be found."""
    while head := file.read(_HEAD_BYTES):
        if len(head) < _HEAD_BYTES or not _is_sound(head[:8], head[8:]):
            yield None
            return
        (length,) = struct.unpack("<Q", head[:8])
        body = file.read(length + 4)
        if len(body) < length + 4 or not _is_sound(body[:length], body[length:]):
            yield None
            return
        yield body[:length]


def _is_sound(data: bytes, masked_crc: bytes) -> bool:
    crc = google_crc32c.value(data)
    return masked_crc == struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _features(example: bytes) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for features in _fields(example)[1]:
        for entry in _fields(features).get(1, ()):
            parts = _fields(entry)
            found[parts[1][0].decode()] = _integers(parts[2][0])
    return found


def _integers(feature: bytes) -> list[int]:
    """An int64 list, packed."""
    if not feature:
        return []
    values: list[int] = []
    for packed in _fields(_fields(feature)[3][0]).get(1, ()):
        at = 0
        while at < len(packed):
            value, at = _varint(packed, at)
            values.append(value)
    return values


def _fields(message: bytes) -> dict[int, list[bytes]]:
    """The length-delimited fields of a message by number, each as often as it comes."""
    found: dict[int, list[bytes]] = {}
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        length, at = _varint(message, at)
        if key & 7 != _LENGTH_DELIMITED or at + length > len(message):
            raise IndexError("another wire type, or a field that is cut short")
        found.setdefault(key >> 3, []).append(message[at : at + length])
        at += length
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where the next begins."""
    value = shift = 0
    while data[at] & 0x80:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
    return value | data[at] << shift, at + 1
