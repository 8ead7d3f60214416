"""Files that grow -> the lines that are new since the last look. Remembers how far it has read."""

from __future__ import annotations

from dataclasses import dataclass

from .. import files
from .events import READ_BYTES, Line


@dataclass(kw_only=True)
class _Place:
    """How far one file was read."""

    offset: int = 0
    row: int = 0  # lines so far


class GrowingFiles:
    """The files of a glob on this machine, and those that it comes to match."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._places: dict[str, _Place] = {}
        self.behind: list[str] = []  # files that had more than the last look has read of them

    def new_lines(self) -> list[Line]:
        """Whole lines that were not there before, by file and row; blank ones are left out.

        Empty, and no file is `behind`: all that there is was read. A line without its end is not
        whole yet, unless it alone is longer than `READ_BYTES`.

        Raises:
            ValueError: a file has become shorter.
        """
        lines: list[Line] = []
        self.behind = []
        for file in files.matches(self._pattern):
            place = self._places.setdefault(file.path, _Place())
            if file.size_bytes < place.offset:
                raise ValueError(
                    f"--input: files that are followed must only grow; received {file.path}, "
                    f"{file.size_bytes:,} bytes after {place.offset:,}; begin a new file instead"
                )
            if file.size_bytes > place.offset + READ_BYTES:
                self.behind.append(file.path)
            if file.size_bytes > place.offset:
                lines += _read(file.path, place)
        return lines

    def last_lines(self) -> list[Line]:
        """What follows the whole lines of each file: a line without its end, for when no more is
        looked for. Blank ones are left out."""
        lines: list[Line] = []
        for file in files.matches(self._pattern):
            place = self._places.setdefault(file.path, _Place())
            if line := _content(file.path, place).partition(b"\n")[0]:
                place.row, place.offset = place.row + 1, place.offset + len(line)
                lines += [(file.path, place.row, line)] if line.strip() else []
        return lines


def _content(path: str, place: _Place) -> bytes:
    with open(path, "rb") as file:
        file.seek(place.offset)
        return file.read(READ_BYTES)


def _read(path: str, place: _Place) -> list[Line]:
    content = _content(path, place)
    end = content.rfind(b"\n") + 1
    if end:
        found = content[: end - 1].split(b"\n")
    elif len(content) == READ_BYTES:
        end, found = READ_BYTES, [content]
    else:
        return []
    first, place.row = place.row + 1, place.row + len(found)
    place.offset += end
    return [(path, row, line) for row, line in enumerate(found, first) if line.strip()]
