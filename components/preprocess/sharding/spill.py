"""Rows waiting on disk between the two passes: written in any order, read back sorted by key.

A record is its length and then the key, 16 bytes, and the strings of the row with NULs between
them, which no row has inside (see `rows`). Sorting whole records therefore sorts by key, then
label, then texts, and never decodes a row. The origin, file and row, stands last: it tells nothing
apart that the shards would show.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from operator import itemgetter
from typing import BinaryIO, NamedTuple

from ... import files
from ..facts import SpillFile
from .splits import KEY_BITS, KeyRange, range_of

KEY_BYTES = KEY_BITS // 8
BUFFER_BYTES = 1 << 16  # of one file that is open: a few dozen rows

_LENGTH = struct.Struct("<I")
_ODD = "surrogateescape"  # names of files may be no UTF-8
_NONE = "\x01"
"""Stands for no string: nothing of it would be left of a text that is cleaned."""


class SpilledRow(NamedTuple):
    """One row between the two passes."""

    label: str
    text: str  # as it was read
    text_pair: str | None
    cleaned: str
    cleaned_pair: str | None
    file: str
    row: int
    kept: tuple[str, ...] = ()  # cells of other columns


@dataclass(slots=True, kw_only=True)
class _Bucket:
    """What was written of one split and range of keys."""

    file: BinaryIO
    num_rows: int = 0
    num_bytes: int = 0


class SpillWriter:
    """Files for the rows of one bundle, one for each split and range of keys met.

    Their names are unique: what a bundle left that failed and was tried again is never read.
    """

    def __init__(self, folder: str, num_buckets: int) -> None:
        self._folder = folder
        self._num_buckets = num_buckets
        self._name = uuid.uuid4().hex
        self._appearing = ExitStack()
        self._buckets: dict[tuple[str, int], _Bucket] = {}

    def add(self, split: str, key: bytes, row: SpilledRow) -> None:
        """Appends one row."""
        place = split, range_of(key, self._num_buckets)
        bucket = self._buckets.get(place)
        if bucket is None:
            bucket = self._buckets[place] = _Bucket(file=self._open(self._path(*place)))
        label, text, pair, cleaned, cleaned_pair, name, number, kept = row
        # A cleaned text is stored only where it differs.
        strings = (
            label,
            text,
            _NONE if pair is None else pair,
            _NONE if cleaned == text else cleaned,
            _NONE if cleaned_pair is None or cleaned_pair == pair else cleaned_pair,
            *kept,
        )
        content = "\0".join(strings).encode()
        record = b"%b%b\0%b" % (key, content, f"{name}\0{number}".encode(errors=_ODD))
        bucket.file.write(_LENGTH.pack(len(record)) + record)
        bucket.num_rows += 1
        bucket.num_bytes += len(content)

    def close(self) -> tuple[SpillFile, ...]:
        """Everything is in its place after it."""
        self._appearing.close()
        return tuple(
            SpillFile(
                split=split,
                keys=KeyRange(index=index, count=self._num_buckets),
                path=self._path(split, index),
                num_rows=bucket.num_rows,
                num_bytes=bucket.num_bytes,
            )
            for (split, index), bucket in sorted(self._buckets.items(), key=itemgetter(0))
        )

    def _open(self, path: str) -> BinaryIO:
        draft = self._appearing.enter_context(files.appearing(path))
        return self._appearing.enter_context(draft.open("xb", buffering=BUFFER_BYTES))

    def _path(self, split: str, bucket: int) -> str:
        return files.join(self._folder, f"{split}-{bucket:03d}-{self._name}.bin")


def read_sorted(spilled: Iterable[SpillFile], keys: KeyRange) -> Iterator[tuple[bytes, SpilledRow]]:
    """The rows with a key in `keys`, each with its key, sorted by key, label and texts.

    Holds as many bytes as these rows have on disk.
    """
    records: list[bytes] = []
    for file in spilled:
        if file.keys.overlaps(keys):
            with files.reading(file.path) as opened:
                records += _records(opened, None if file.keys.count >= keys.count else keys)
    records.sort()
    records.reverse()
    while records:  # popped, so that a record is gone when its row is made
        record = records.pop()
        label, text, pair, cleaned, cleaned_pair, *kept, name, number = (
            record[KEY_BYTES:].decode(errors=_ODD).split("\0")
        )
        text_pair = None if pair == _NONE else pair
        row = SpilledRow(
            label=label,
            text=text,
            text_pair=text_pair,
            cleaned=text if cleaned == _NONE else cleaned,
            cleaned_pair=text_pair if cleaned_pair == _NONE else cleaned_pair,
            file=name,
            row=int(number),
            kept=tuple(kept),
        )
        yield record[:KEY_BYTES], row


def _records(opened: BinaryIO, keys: KeyRange | None) -> Iterator[bytes]:
    """Those with a key in `keys`; None: all."""
    first, last = (keys.first, keys.last) if keys is not None else (b"", b"")
    while length := opened.read(_LENGTH.size):
        record = opened.read(_LENGTH.unpack(length)[0])
        if keys is None or first <= record[:KEY_BYTES] <= last:
            yield record
