"""Compressed bytes -> plain ones, as a stream; ends in words when they are damaged or a bomb."""

from __future__ import annotations

import bz2
import gzip
import io
import zlib
from typing import Any, BinaryIO

from .source import Compression, InputFile

MAX_RATIO = 200  # bytes out for each byte in; texts reach 20, tables of numbers 100
MAX_SUSPICIOUS_BYTES = 64 << 20  # what comes out before the ratio is looked at

NAMES: dict[Compression, str] = {"gz": "gzip", "bz2": "bzip2", "zst": "zstd"}
MAGIC: dict[Compression, bytes] = {"gz": b"\x1f\x8b", "bz2": b"BZh", "zst": b"\x28\xb5\x2f\xfd"}
# A zstd file may begin with a frame to be skipped, of which there are 16 kinds.
_SKIPPED = tuple(bytes((kind, 0x2A, 0x4D, 0x18)) for kind in range(0x50, 0x60))


class BrokenFile(Exception):
    """The stream is cut short or damaged; readers catch it where the rows are counted."""


def is_packed(start: bytes, compression: Compression) -> bool:
    """Whether a file that begins with `start` is compressed in that way."""
    return start.startswith(MAGIC[compression]) or (
        compression == "zst" and start.startswith(_SKIPPED)
    )


class Decompressed(io.RawIOBase):
    """The plain bytes of `packed`; several streams, one after the other, are one.

    Never holds more than a few buffers, whatever comes out. Reading raises `BrokenFile`, and
    `ValueError` for a file that swells suspiciously.
    """

    def __init__(self, input_file: InputFile, packed: BinaryIO) -> None:
        self._file = input_file
        self._packed = _Counted(packed)
        self._plain = _opened(self._packed, input_file.compression)
        self._num_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._plain.read(len(buffer))
        except (EOFError, zlib.error, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the system, not of what the file holds
            raise BrokenFile(str(error)) from error
        self._num_bytes += len(data)
        most = max(MAX_SUSPICIOUS_BYTES, MAX_RATIO * self._packed.num_bytes)
        if self._num_bytes > most:
            raise ValueError(
                f"{self._file.field}: {self._file.name} must not swell more than {MAX_RATIO} times "
                f"when unpacked; received {self._num_bytes:,} bytes out of "
                f"{self._packed.num_bytes:,} and more to come, which looks like a decompression "
                "bomb; unpack it yourself if you trust it"
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._plain.close()
        super().close()


class _Counted(io.RawIOBase):
    """Passes bytes on and counts them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.num_bytes = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.num_bytes += len(data)
        return data


def _opened(packed: io.RawIOBase, compression: Compression) -> Any:
    if compression == "gz":
        return gzip.GzipFile(fileobj=packed, mode="rb")
    if compression == "bz2":
        return bz2.BZ2File(packed)
    # Arrow's reader, as the package `zstandard` takes a file that is cut short for whole.
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), "zstd")
