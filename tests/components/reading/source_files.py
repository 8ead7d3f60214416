"""What the tests of the sources share: a file of given bytes, read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tpuline.components.reading.sources import Reject, Row, Source, list_files, read


def written(folder: Path, name: str, content: bytes | str) -> str:
    """A file in `folder`; its name, to be used as a place."""
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(data)
    return name


def read_all(folder: Path, place: str | tuple[str, ...], **config: Any) -> list[Row | Reject]:
    """Everything that the train split of `place` gives."""
    source = Source(train=place, **config)
    files = list_files(source, "train", folder)
    return [row for file in files for row in read(source, file)]


def texts(rows: list[Row | Reject]) -> list[str]:
    """The texts of the accepted rows."""
    return [row.text for row in rows if isinstance(row, Row)]


def faults(rows: list[Row | Reject]) -> list[tuple[int, str]]:
    """Row number and reason of the rejected ones."""
    return [(row.row, row.reason) for row in rows if isinstance(row, Reject)]
