"""Source files -> what each worker reads of them, and how many buckets the rows are spilled to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..reading.source import InputFile
from ..running.config import Running
from .facts import Portion
from .sharding.splits import num_ranges

STRIPE_BYTES = 8_000_000
"""Every worker reads all of a file that is read in stripes, so small files are left whole."""

MAX_STRIPES = 16
MAX_PORTION_BYTES = 256_000_000
PORTIONS_A_WORKER = 4  # at least, where there are files enough: the last to end is not late by much
OPEN_BYTES = 64_000  # what opening a file costs, in bytes read in the same time, about
MAX_BUCKETS = 128  # open files at once: three splits times as many


def num_readers(running: Running) -> int:
    """How many workers may read at the same time; a guess where others decide on that."""
    if running.runner in ("in_process", "processes"):
        return running.num_workers
    return max(running.num_workers, running.dataflow.max_num_workers or 0, 4)


def portions(inputs: Sequence[InputFile], num_workers: int) -> list[Portion]:
    """Of about one size: small files together; large ones in stripes unless there are plenty."""
    plenty = len(inputs) >= PORTIONS_A_WORKER * num_workers
    stripes = 1 if plenty else min(num_workers, MAX_STRIPES)
    made, whole = [], []
    for file in inputs:
        count = min(stripes, file.text_bytes // STRIPE_BYTES)
        if count > 1:
            made += [Portion(files=(file,), stripe=i, num_stripes=count) for i in range(count)]
        else:
            whole.append(file)
    return made + [Portion(files=group) for group in _groups(whole, num_workers)]


def _groups(inputs: Sequence[InputFile], num_workers: int) -> Iterator[tuple[InputFile, ...]]:
    """Consecutive files; one of unknown size ends its group."""
    costs = [
        file.text_bytes + OPEN_BYTES if file.size_bytes else MAX_PORTION_BYTES for file in inputs
    ]
    enough = min(MAX_PORTION_BYTES, sum(costs) / (PORTIONS_A_WORKER * num_workers))
    group: list[InputFile] = []
    total = 0
    for file, cost in zip(inputs, costs, strict=True):
        group.append(file)
        total += cost
        if total >= enough:
            yield tuple(group)
            group, total = [], 0
    if group:
        yield tuple(group)


def num_buckets(inputs: Sequence[InputFile], shard_size_bytes: int) -> int:
    """By about how much text there is. A guess off by far costs speed, and changes no byte."""
    return num_ranges(sum(file.text_bytes for file in inputs), shard_size_bytes, MAX_BUCKETS)
