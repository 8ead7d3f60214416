"""Source files -> what each worker reads of them, and how many buckets the rows are spilled to."""

from __future__ import annotations

from collections.abc import Sequence

from .facts import Portion
from .reading.source import InputFile
from .running.config import Running
from .sharding.splits import num_ranges

STRIPE_BYTES = 8_000_000
"""Every worker reads all of a file that is read in stripes, so small files are left whole."""

MAX_STRIPES = 16
MAX_BUCKETS = 64  # open files at once: three splits times as many
_EXPANSION = 3  # of packed text, about


def num_readers(running: Running) -> int:
    """How many workers may read at the same time; a guess where others decide on that."""
    if running.runner in ("in_process", "processes"):
        return running.num_workers
    return max(running.num_workers, running.dataflow.max_num_workers or 0, 4)


def portions(inputs: Sequence[InputFile], num_workers: int) -> list[Portion]:
    """Whole files when there are plenty for the workers, else stripes of the large ones."""
    stripes = 1 if len(inputs) >= 4 * num_workers else min(num_workers, MAX_STRIPES)
    made = []
    for file in inputs:
        count = max(1, min(stripes, num_bytes(file) // STRIPE_BYTES))
        made += [Portion(file=file, stripe=stripe, num_stripes=count) for stripe in range(count)]
    return made


def num_buckets(inputs: Sequence[InputFile], shard_size_bytes: int) -> int:
    """By about how much text there is. A guess off by far costs speed, and changes no byte."""
    return num_ranges(sum(map(num_bytes, inputs)), shard_size_bytes, MAX_BUCKETS)


def num_bytes(file: InputFile) -> int:
    """About how much text a file holds; 0 where nothing is known."""
    packed = file.compressed or file.format in ("parquet", "arrow", "tfds")
    return file.size_bytes * (_EXPANSION if packed else 1)
