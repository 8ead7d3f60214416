"""Bytes of a text file -> its physical lines, one at a time and of bounded size.

Only LF and CRLF end a line: a lone CR, U+0085 and U+2028 are text. Bytes that are not UTF-8
come through as lone surrogates (`surrogateescape`), so that one bad byte costs one row.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, cast

from .source import InputFile

BUFFER_BYTES = 1 << 17

_GZIP = b"\x1f\x8b"
_NOT_TEXT = {
    _GZIP: "is gzip-compressed; give it the suffix .gz",
    b"\xff\xfe": "is UTF-16; convert it: iconv -f UTF-16 -t UTF-8",
    b"\xfe\xff": "is UTF-16; convert it: iconv -f UTF-16 -t UTF-8",
    b"PK\x03\x04": "is a ZIP archive or a spreadsheet; unpack it, or export it as CSV",
    b"PAR1": "is Parquet; set preprocess.source.format: parquet",
}


@contextmanager
def open_bytes(input_file: InputFile) -> Iterator[BinaryIO]:
    """The file's bytes, decompressed; `ValueError` when they cannot be text in UTF-8."""
    with ExitStack() as stack:
        raw: BinaryIO = stack.enter_context(open(input_file.path, "rb"))
        start = raw.read(4)
        raw.seek(0)
        if input_file.compressed and start:
            if not start.startswith(_GZIP):
                raise ValueError(
                    f"{input_file.field}: {input_file.name} must be gzip-compressed, as its "
                    f"suffix says; received a file that begins with {start!r}; rename it"
                )
            # GzipFile has no type that BufferedReader accepts, but reads as one.
            unzipped = cast(io.RawIOBase, gzip.GzipFile(fileobj=raw, mode="rb"))
            raw = stack.enter_context(io.BufferedReader(unzipped, BUFFER_BYTES))
            start = raw.peek(4)[:4]
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


def _body_bytes(line: bytes) -> int:
    return len(line) - (2 if line.endswith(b"\r\n") else line.endswith(b"\n"))
