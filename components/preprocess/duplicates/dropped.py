"""The keys that train must do without, as a file that each shard reads its part of."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, BinaryIO, cast

import numpy as np

from ... import files
from ...reading.rows import Reason
from ..sharding.splits import KeyRange
from .grouping import first_of_each
from .trailers import read_trailer, write_trailer

REASONS: tuple[Reason, ...] = (
    "in_test",
    "in_validation",
    "near_test",
    "near_validation",
    "near_duplicate",
)
"""A key that is dropped for several has the first of them."""

BLOCK_KEYS = 4096

DROP = np.dtype([("key", "S16"), ("reason", "<u1"), ("file", "<u4"), ("row", "<u8")])
"""`file` and `row`: where the other row came from; `file` is an index into names."""


class Dropped:
    """The dropped keys of one range."""

    def __init__(self, reasons: dict[bytes, tuple[Reason, str, int]]) -> None:
        self._reasons = reasons

    @classmethod
    def load(cls, path: str, keys: KeyRange) -> Dropped:
        """Reads little more than what it keeps."""
        with files.reading(path) as file:
            facts = read_trailer(file)
            fences: list[str] = facts["fences"]
            start = max(bisect_right(fences, keys.first.hex()) - 1, 0)
            end = bisect_right(fences, keys.last.hex())
            file.seek(start * BLOCK_KEYS * DROP.itemsize)
            content = file.read(max(end - start, 0) * BLOCK_KEYS * DROP.itemsize)
        num_keys = min(len(content) // DROP.itemsize, facts["num_keys"] - start * BLOCK_KEYS)
        table = np.frombuffer(content, DROP, num_keys)
        columns = [table[name].tolist() for name in ("reason", "file", "row")]
        reasons = {
            key: (REASONS[reason], facts["files"][name], row)
            for key, reason, name, row in zip(_keys(table), *columns, strict=True)
            if keys.first <= key <= keys.last
        }
        return cls(reasons)

    def reason(self, key: bytes) -> tuple[Reason, str, int] | None:
        """Why the rows of this key go, and file and row of the one that stays; None: they stay."""
        return self._reasons.get(key)


def write_dropped(drops: Any, names: tuple[str, ...], path: str) -> None:
    """Writes DROP, in any order, as `Dropped` reads it."""
    drops = first_of_each(drops, "key", then=("reason",))
    used, numbers = np.unique(drops["file"], return_inverse=True)
    drops["file"] = numbers
    facts = {
        "num_keys": len(drops),
        "files": [names[number] for number in used],
        "fences": [key.hex() for key in _keys(drops[::BLOCK_KEYS])],
    }
    with files.appearing(path) as draft, draft.open("wb") as file:
        file.write(drops.tobytes())
        write_trailer(cast(BinaryIO, file), facts)


def _keys(table: Any) -> list[bytes]:
    """All 16 bytes of each: as elements of an array they would lose zeros at the end."""
    content = np.ascontiguousarray(table["key"]).tobytes()
    return [content[start : start + 16] for start in range(0, len(content), 16)]
