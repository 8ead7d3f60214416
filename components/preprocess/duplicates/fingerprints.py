"""What is remembered of a row to find it again: key, split, label, origin, MinHash signature.

One file for each bundle of the first pass. It is cut into chunks of rows, and a chunk into columns,
one after the other, so that who looks for one band reads no more than that. A trailer tells how
many rows each chunk has, and the names of the source files. About 470 bytes a row, 37 without
signatures.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from ... import files
from ...example_spec import SPLITS
from .found import DuplicatesConfig
from .minhash import SIGNATURE_VALUES, band_hashes, bands_for, signatures
from .shingles import hash_bytes
from .trailers import read_trailer, write_trailer

CHUNK_ROWS = 65_536

Column = tuple[str, str, int]  # name, dtype, values a row

_COLUMNS: tuple[Column, ...] = (
    ("key", "S16", 1),
    ("split", "<u1", 1),  # index into SPLITS
    ("label", "<u8", 1),
    ("file", "<u4", 1),  # index into the names in the trailer
    ("row", "<u8", 1),
)


@dataclass(frozen=True, kw_only=True)
class FingerprintFile:
    """The fingerprints of one bundle of source files."""

    path: str
    num_rows: int


class FingerprintWriter:
    """Takes batches of rows; holds one chunk of them in memory.

    Its file has a unique name: what a bundle left that failed and was tried again is never read.
    """

    def __init__(self, folder: str, config: DuplicatesConfig) -> None:
        self._path = files.join(folder, f"fingerprints-{uuid.uuid4().hex}.bin")
        self._bands = None if config.near == "off" else bands_for(config.similarity)
        self._columns = _columns(self._bands.count if self._bands else 0)
        self._names: dict[str, int] = {}
        self._label_hashes: dict[str, int] = {}
        self._batches: list[dict[str, Any]] = []
        self._waiting = 0
        self._chunk_rows: list[int] = []
        self._open = ExitStack()
        self._file: BinaryIO | None = None

    def add(
        self,
        *,
        splits: Sequence[str],
        keys: Sequence[bytes],
        texts: Sequence[str],
        files: Sequence[str],
        rows: Sequence[int],
        labels: Sequence[str],
    ) -> None:
        """As many of each as there are rows; `texts` are what the keys stand for."""
        batch = {
            "key": np.frombuffer(b"".join(keys), "S16"),
            "split": np.array([SPLITS.index(split) for split in splits], "<u1"),
            "label": np.array([self._label_hash(label) for label in labels], "<u8"),
            "file": np.array(
                [self._names.setdefault(name, len(self._names)) for name in files], "<u4"
            ),
            "row": np.array(rows, "<u8"),
        }
        if self._bands is not None:
            batch["signature"] = signatures(texts)
            hashes = band_hashes(batch["signature"], self._bands)
            batch |= {band_column(band): hashes[:, band] for band in range(self._bands.count)}
        self._batches.append(batch)
        self._waiting += len(keys)
        if self._waiting >= CHUNK_ROWS:
            self._flush()

    def close(self) -> tuple[FingerprintFile, ...]:
        """The file, which is in its place after it; none when there was no row."""
        self._flush()
        if self._file is not None:
            facts = {
                "num_bands": self._bands.count if self._bands else 0,
                "chunk_rows": self._chunk_rows,
                "files": list(self._names),
            }
            write_trailer(self._file, facts)
        self._open.close()
        num_rows = sum(self._chunk_rows)
        return (FingerprintFile(path=self._path, num_rows=num_rows),) if num_rows else ()

    def _label_hash(self, label: str) -> int:
        known = self._label_hashes.get(label)
        if known is None:
            if len(self._label_hashes) >= CHUNK_ROWS:  # not labels: forgotten, memory stays flat
                self._label_hashes.clear()
            known = self._label_hashes[label] = label_hash(label)
        return known

    def _flush(self) -> None:
        if not self._waiting:
            return
        if self._file is None:
            draft = self._open.enter_context(files.appearing(self._path))
            self._file = self._open.enter_context(draft.open("wb"))
        for name, dtype, _ in self._columns:
            column = np.concatenate([batch[name] for batch in self._batches])
            self._file.write(np.ascontiguousarray(column, dtype).tobytes())
        self._chunk_rows.append(self._waiting)
        self._batches.clear()
        self._waiting = 0


class Chunk:
    """Some rows of an opened file; their columns are read when they are asked for."""

    def __init__(
        self,
        file: BinaryIO,
        *,
        columns: tuple[Column, ...],
        offset: int,
        num_rows: int,
        first: int,
        names: list[str],
    ) -> None:
        self._file = file
        self._columns = columns
        self._offset = offset
        self.num_rows = num_rows
        self.first = first  # number of its first row among all rows of all files
        self.names = names

    def column(self, name: str) -> Any:
        """(num_rows,), or (num_rows, SIGNATURE_VALUES) of the signatures."""
        offset, dtype, width = self._place(name)
        self._file.seek(offset)
        values = np.frombuffer(self._file.read(self.num_rows * dtype.itemsize * width), dtype)
        return values.reshape(self.num_rows, width) if width > 1 else values

    def signatures(self, rows: Any) -> Any:
        """uint16 (len(rows), SIGNATURE_VALUES): of the rows with these numbers in the chunk."""
        if len(rows) * 32 > self.num_rows:  # reading all is as fast as finding so many
            return self.column("signature")[rows]
        offset, dtype, width = self._place("signature")
        parts = []
        for row in rows.tolist():
            self._file.seek(offset + row * dtype.itemsize * width)
            parts.append(self._file.read(dtype.itemsize * width))
        return np.frombuffer(b"".join(parts), dtype).reshape(len(rows), width)

    def _place(self, wanted: str) -> tuple[int, Any, int]:
        offset = self._offset
        for name, dtype, width in self._columns:
            if name == wanted:
                return offset, np.dtype(dtype), width
            offset += self.num_rows * np.dtype(dtype).itemsize * width
        raise KeyError(f"no column {wanted!r}; known: {[name for name, *_ in self._columns]}")


def chunks(fingerprint_files: Iterable[FingerprintFile]) -> Iterator[Chunk]:
    """All chunks of all files, always in the same order; each is open until the next one comes."""
    first = 0
    for fingerprint_file in fingerprint_files:
        with files.reading(fingerprint_file.path) as file:
            facts = read_trailer(file)
            columns = _columns(facts["num_bands"])
            row_bytes = sum(np.dtype(dtype).itemsize * width for _, dtype, width in columns)
            offset = 0
            for num_rows in facts["chunk_rows"]:
                yield Chunk(
                    file,
                    columns=columns,
                    offset=offset,
                    num_rows=num_rows,
                    first=first,
                    names=facts["files"],
                )
                offset += num_rows * row_bytes
                first += num_rows


def source_names(fingerprint_files: Iterable[FingerprintFile]) -> tuple[str, ...]:
    """The names of all source files that rows came from, sorted."""
    names: set[str] = set()
    for fingerprint_file in fingerprint_files:
        with files.reading(fingerprint_file.path) as file:
            names.update(read_trailer(file)["files"])
    return tuple(sorted(names))


def label_hash(label: str) -> int:
    """What stands for a label in its column."""
    return hash_bytes(label.encode("utf-8", "surrogatepass"))


def band_column(band: int) -> str:
    """The name of the column of the hashes of one band."""
    return f"band_{band}"


def _columns(num_bands: int) -> tuple[Column, ...]:
    if not num_bands:
        return _COLUMNS
    bands = ((band_column(band), "<u8", 1) for band in range(num_bands))
    return (*_COLUMNS, *bands, ("signature", "<u2", SIGNATURE_VALUES))
