"""Input files -> parts, each of which gives one shard of the output. Pure.

They depend on the files alone, not on who works, so that another runner can go on where one ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..reading.source import InputFile

MAX_STRIPES = 16  # each reads all of the file


@dataclass(frozen=True, kw_only=True)
class Part:
    """Small files together, or every `num_stripes`-th run of rows of a large one."""

    index: int = 0
    num_parts: int = 1
    files: tuple[InputFile, ...]
    stripe: int = 0
    num_stripes: int = 1

    @property
    def shard(self) -> str:
        """The number that the names of its files end in."""
        return f"{self.index:05d}-of-{self.num_parts:05d}"


def parts(inputs: Sequence[InputFile], size_bytes: int) -> tuple[Part, ...]:
    """Of at most `size_bytes` of text each, about, in the order of `inputs`."""
    made = [*_parts(inputs, size_bytes)]
    return tuple(replace(part, index=index, num_parts=len(made)) for index, part in enumerate(made))


def _parts(inputs: Sequence[InputFile], size_bytes: int) -> Iterator[Part]:
    group: list[InputFile] = []
    for file in inputs:
        stripes = min(-(-file.text_bytes // size_bytes), MAX_STRIPES)
        if group and sum(f.text_bytes for f in [*group, file]) > size_bytes:
            yield Part(files=tuple(group))
            group = []
        if stripes > 1:
            for stripe in range(stripes):
                yield Part(files=(file,), stripe=stripe, num_stripes=stripes)
        else:
            group.append(file)
    if group:
        yield Part(files=tuple(group))
