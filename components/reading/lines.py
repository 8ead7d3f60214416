"""Bytes of a text file -> its physical lines, one at a time and of bounded size.

Only LF and CRLF end a line: a lone CR, U+0085 and U+2028 are text. Bytes that are not UTF-8
come through as lone surrogates (`surrogateescape`), so that one bad byte costs one row.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, cast

from .. import files
from .decompress import NAMES, Decompressed, is_packed
from .source import InputFile

BUFFER_BYTES = 1 << 17
TOO_LONG = "the line is longer than preprocess.source.max_line_bytes"

# Beginnings that no text has, or none that is worth guessing at.
_NOT_TEXT = {
    b"\x1f\x8b": "is gzip-compressed; give it the suffix .gz",
    b"BZh91AY&SY": "is bzip2-compressed; give it the suffix .bz2",
    b"\x28\xb5\x2f\xfd": "is zstd-compressed; give it the suffix .zst",
    b"\xff\xfe": "is UTF-16; convert it: iconv -f UTF-16 -t UTF-8",
    b"\xfe\xff": "is UTF-16; convert it: iconv -f UTF-16 -t UTF-8",
    b"PK\x03\x04": "is a ZIP archive or a spreadsheet; unpack it, or export it as CSV",
    b"PAR1\x15": "is Parquet; set preprocess.source.format: parquet",
    b"ARROW1\0\0": "is Arrow IPC; set preprocess.source.format: arrow",
}
_START_BYTES = max(map(len, _NOT_TEXT))


@contextmanager
def open_bytes(input_file: InputFile) -> Iterator[BinaryIO]:
    """The file's bytes, decompressed; `ValueError` when they cannot be text in UTF-8."""
    with ExitStack() as stack:
        raw = stack.enter_context(files.reading(input_file.path))
        start = raw.read(_START_BYTES)
        raw.seek(0)
        if files.is_remote(input_file.path):  # its own readline goes byte by byte
            raw = stack.enter_context(io.BufferedReader(cast(io.RawIOBase, raw), BUFFER_BYTES))
        if input_file.compression and start:
            if not is_packed(start, input_file.compression):
                raise ValueError(
                    f"{input_file.field}: {input_file.name} must be "
                    f"{NAMES[input_file.compression]}-compressed, as its suffix says; received a "
                    f"file that begins with {start[:4]!r}; rename it"
                )
            plain = Decompressed(input_file, raw)
            buffered = stack.enter_context(io.BufferedReader(plain, BUFFER_BYTES))
            raw, start = buffered, buffered.peek(_START_BYTES)
        for magic, what in _NOT_TEXT.items():
            if start.startswith(magic):
                raise ValueError(
                    f"{input_file.field}: {input_file.name} must be text in UTF-8; received a "
                    f"file that {what}"
                )
        yield raw


def read_lines(file: BinaryIO, max_bytes: int) -> Iterator[str | None]:
    """Physical lines with their ends; None in place of a line of more than `max_bytes`.

    A byte order mark is dropped. Holds at most `max_bytes` of a line, however long it is.
    """
    limit = max_bytes + 2  # room for the line end, which does not count
    encoding = "utf-8-sig"  # the first line may begin with a byte order mark
    while line := file.readline(limit):
        encoding, line_encoding = "utf-8", encoding
        if len(line) > max_bytes and _body_bytes(line) > max_bytes:
            while line and not line.endswith(b"\n"):
                line = file.readline(BUFFER_BYTES)
            yield None
        else:
            yield line.decode(line_encoding, "surrogateescape")


def written_lines(file: BinaryIO, max_bytes: int) -> Iterator[tuple[int, str | None]]:
    """The lines of `read_lines` that are not blank, each with its number, from 1."""
    for number, line in enumerate(read_lines(file, max_bytes), start=1):
        if line is None or line.strip(" \t\r\n"):
            yield number, line


def _body_bytes(line: bytes) -> int:
    return len(line) - (2 if line.endswith(b"\r\n") else line.endswith(b"\n"))
