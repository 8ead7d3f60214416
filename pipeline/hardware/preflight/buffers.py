"""HLO text of a compiled program -> its largest arrays in HBM, and what moves there. Pure.

The text names each array with its shape, layout and memory: some are kept in the chip's vector
memory, which HBM does not see.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

NUM_BUFFERS = 12
_LINE = re.compile(r"^\s+(?:ROOT )?%([\w.-]+) = (.*?) ([a-z][\w-]*)\(")
_ARRAY = re.compile(r"([a-z]+\d*)\[([\d,]*)\](?:\{([\d,]*)((?::[^}]*)?)\})?")
_BITS = {"pred": 8, "s4": 4, "u4": 4}
# Views of others; what copies start with is a tuple that names their source again.
_NO_BUFFER = re.compile(
    r"bitcast|get-tuple-element|tuple|constant|while|conditional|.*-(start|done)"
)


@dataclass(frozen=True, kw_only=True)
class Buffer:
    """One array in HBM."""

    name: str
    shape: str  # as XLA writes it, f32[30522,768]
    size_bytes: int  # padding of tiles included


def largest_buffers(text: str) -> tuple[Buffer, ...]:
    """The largest arrays that the main computation and its branches make or take, largest first.

    Names are those of TensorFlow's ops where the program still knows them; what it takes is called
    `parameter N`. Not all are alive at the same time.
    """
    found = []
    lines = [pair for name in ("", *_branches(text)) for pair in _instructions(text, name)]
    for line, match in lines:
        if _NO_BUFFER.fullmatch(match[3]):
            continue
        op_name = re.search(r'op_name="([^"]+)"', line)
        name = op_name[1] if op_name else f"{match[3]} {match[1]}"
        if match[3] == "parameter":
            if match[2].startswith("("):  # of a branch: what the main computation has made
                continue
            name = f"parameter {line.partition(' parameter(')[2].partition(')')[0]}"
        for array in _ARRAY.finditer(match[2]):
            size = _array_bytes(*array.groups(default=""))
            if size:
                shape = f"{array[1]}[{array[2]}]"
                found.append(Buffer(name=name, shape=shape, size_bytes=size))
    found.sort(key=lambda buffer: -buffer.size_bytes)
    return tuple(found[:NUM_BUFFERS])


def hbm_traffic_bytes(text: str, *, branch: int = 0, num_branches: int = 1) -> int | None:
    """What the main computation reads from HBM and writes to it, going through one of its branches.

    Each instruction reads its arguments and writes its results once, as far as they are in HBM; a
    copy that runs beside others moves what it results in. A gather counts for the whole of its
    table. None for a program with loops, whose insides are other computations, or with other
    branches than `num_branches` of one choice.
    """
    names = _branches(text)
    if len(names) != (num_branches if num_branches > 1 else 0):
        return None
    parts = [_traffic(text, name) for name in ("", *names[branch : branch + 1])]
    return None if None in parts else sum(part for part in parts if part is not None)


def _traffic(text: str, computation: str) -> int | None:
    sizes: dict[str, int] = {}
    total = 0
    for line, match in _instructions(text, computation):
        name, shape, kind = match[1], match[2], match[3]
        if kind in ("while", "call") or (kind == "conditional" and computation):
            return None
        sizes[name] = _shape_bytes(shape)
        if kind.endswith("-done"):
            total += _shape_bytes(_MEMORY.sub("", shape))
        elif not _NO_BUFFER.fullmatch(kind) and kind != "parameter":
            given = line[match.end() :].partition(")")[0]
            total += sizes[name] + sum(sizes.get(n, 0) for n in _OPERAND.findall(given))
    return total


_MEMORY = re.compile(r"S\(\d+\)")
_OPERAND = re.compile(r"%([\w.-]+)")


def _branches(text: str) -> list[str]:
    """The computations between which the main one chooses, of all its choices."""
    chosen = (line for line, match in _instructions(text, "") if match[3] == "conditional")
    found = (re.search(r"branch_computations={([^}]*)}", line) for line in chosen)
    return [name.strip(" %") for names in found if names for name in names[1].split(",")]


def _instructions(text: str, computation: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Lines of a computation, by default the main one, with name, shape and kind of each."""
    start = text.find(f"\n%{computation} (" if computation else "\nENTRY")
    end = text.find("\n}", start)
    for line in text[start:end].splitlines()[2:] if start >= 0 else ():
        match = _LINE.match(line)
        if match is not None:
            yield line, match


def _shape_bytes(shape: str) -> int:
    return sum(_array_bytes(*array.groups(default="")) for array in _ARRAY.finditer(shape))


def _array_bytes(kind: str, dims: str, order: str, layout: str) -> int:
    """With the padding of its tiles; 0 for what is not in HBM: memory spaces S(1), S(2) ..."""
    if "S(" in layout and "S(0)" not in layout:
        return 0
    sides = [int(side) for side in dims.split(",") if side]
    ordered = [sides[int(dim)] for dim in order.split(",") if dim] or sides[::-1]  # minor first
    tile = re.search(r"T\(([\d,]+)\)", layout)
    if tile is not None:
        for place, side in enumerate(reversed([int(n) for n in tile[1].split(",")])):
            if place < len(ordered):
                ordered[place] = -(-ordered[place] // side) * side
    digits = re.search(r"\d+", kind)
    bits = _BITS.get(kind) or (int(digits[0]) if digits else 0)
    return math.prod(ordered) * bits // 8
