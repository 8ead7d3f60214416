"""Rows waiting on disk between the two passes: written in any order, read back sorted by key.

A line is the key in hexadecimal, the content and the origin, both as JSON, with tabs between.
Sorting whole lines therefore sorts by key, then label, then texts, and never decodes a row. The
origin, file and row, stands last: it tells nothing apart that the shards would show.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import BinaryIO, NamedTuple

from .. import files
from .facts import SpillFile
from .splits import KeyRange, range_of


class SpilledRow(NamedTuple):
    """One row between the two passes."""

    label: str
    text: str  # as it was read
    text_pair: str | None
    cleaned: str
    cleaned_pair: str | None
    file: str
    row: int


class SpillWriter:
    """Files for the rows of one bundle, one for each split and range of keys met.

    Their names are unique: what a bundle left that failed and was tried again is never read.
    """

    def __init__(self, folder: str, num_buckets: int) -> None:
        self._folder = folder
        self._num_buckets = num_buckets
        self._name = uuid.uuid4().hex
        self._appearing = ExitStack()
        self._files: dict[tuple[str, int], BinaryIO] = {}
        self._num_rows: Counter[tuple[str, int]] = Counter()
        self._num_bytes: Counter[tuple[str, int]] = Counter()

    def add(self, split: str, key: bytes, row: SpilledRow) -> None:
        """Appends one row."""
        place = split, range_of(key, self._num_buckets)
        file = self._files.get(place)
        if file is None:
            file = self._files[place] = self._open(self._path(*place))
        # A cleaned text is stored only where it differs.
        cleaned = None if row.cleaned == row.text else row.cleaned
        cleaned_pair = None if row.cleaned_pair == row.text_pair else row.cleaned_pair
        content = _dumps((row.label, row.text, row.text_pair, cleaned, cleaned_pair)).encode()
        file.write(b"%s\t%s\t" % (key.hex().encode(), content))
        file.write(f"{_dumps((row.file, row.row))}\n".encode())
        self._num_rows[place] += 1
        self._num_bytes[place] += len(content)

    def close(self) -> tuple[SpillFile, ...]:
        """Everything is in its place after it."""
        self._appearing.close()
        return tuple(
            SpillFile(
                split=split,
                keys=KeyRange(index=bucket, count=self._num_buckets),
                path=self._path(split, bucket),
                num_rows=self._num_rows[split, bucket],
                num_bytes=self._num_bytes[split, bucket],
            )
            for split, bucket in sorted(self._files)
        )

    def _open(self, path: str) -> BinaryIO:
        draft = self._appearing.enter_context(files.appearing(path))
        return self._appearing.enter_context(draft.open("xb"))

    def _path(self, split: str, bucket: int) -> str:
        return files.join(self._folder, f"{split}-{bucket:03d}-{self._name}.jsonl")


def read_sorted(spilled: Iterable[SpillFile], keys: KeyRange) -> Iterator[tuple[bytes, SpilledRow]]:
    """The rows with a key in `keys`, each with its key, sorted by key, label and texts.

    Holds as many bytes as these rows have on disk.
    """
    first, last = keys.first.hex().encode(), keys.last.hex().encode()
    lines: list[bytes] = []
    for file in spilled:
        if file.keys.overlaps(keys):
            with files.reading(file.path) as opened:
                whole = file.keys.count >= keys.count
                lines.extend(line for line in opened if whole or first <= line[:32] <= last)
    lines.sort()
    lines.reverse()
    while lines:  # popped, so that a line is gone when its row is made
        key, content, origin = lines.pop().split(b"\t")
        label, text, text_pair, cleaned, cleaned_pair = json.loads(content)
        name, row = json.loads(origin)
        yield (
            bytes.fromhex(key.decode()),
            SpilledRow(
                label=label,
                text=text,
                text_pair=text_pair,
                cleaned=text if cleaned is None else cleaned,
                cleaned_pair=text_pair if cleaned_pair is None else cleaned_pair,
                file=name,
                row=row,
            ),
        )


_dumps = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode
