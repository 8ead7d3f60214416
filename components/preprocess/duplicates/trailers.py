"""Binary files that end with what is known only when all else is written: JSON and its length."""

from __future__ import annotations

import json
import os
from typing import Any, BinaryIO

_LENGTH_BYTES = 8


def write_trailer(file: BinaryIO, facts: dict[str, Any]) -> None:
    """Ends the file."""
    content = json.dumps(facts, ensure_ascii=True).encode()
    file.write(content)
    file.write(len(content).to_bytes(_LENGTH_BYTES, "little"))


def read_trailer(file: BinaryIO) -> dict[str, Any]:
    """The facts, of a file that can seek; leaves it anywhere."""
    file.seek(-_LENGTH_BYTES, os.SEEK_END)
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    file.seek(-_LENGTH_BYTES - length, os.SEEK_END)
    facts: dict[str, Any] = json.loads(file.read(length))
    return facts
