"""What the Beam run hands back to the stage: one small JSON file. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .. import files
from ..contracts import Shard, Split
from .duplicates.found import Duplicates
from .facts import RejectsFile, ShardFacts
from .leakage import SampledRow


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome of both passes."""

    problem: str | None  # what the user must mend; then there are no shards
    num_read: int
    rejects_files: tuple[RejectsFile, ...]
    set_aside: dict[str, dict[str, int]]  # rows, in reading, by split of the source and reason
    redacted: dict[str, int]  # by kind
    column_sample: tuple[SampledRow, ...]
    label_names: tuple[str, ...]
    duplicates: Duplicates | None
    shards: tuple[ShardFacts, ...]
    statistics: dict[str, Any]  # by split: JSON of `statistics.Statistics`


def save_result(result: Result, path: str) -> None:
    """Writes what `load_result` reads."""
    files.write_bytes(path, json.dumps(asdict(result)).encode())


def load_result(path: str) -> Result:
    """The outcome of the run that has just ended."""
    fields = json.loads(files.read_bytes(path))
    fields["rejects_files"] = tuple(RejectsFile(**file) for file in fields["rejects_files"])
    fields["label_names"] = tuple(fields["label_names"])
    fields["column_sample"] = tuple(
        SampledRow(label, tuple((name, cell) for name, cell in others), num_rows)
        for label, others, num_rows in fields["column_sample"]
    )
    found = fields["duplicates"]
    fields["duplicates"] = None if found is None else Duplicates.from_json(found)
    fields["shards"] = tuple(_shard_facts(**shard) for shard in fields["shards"])
    return Result(**fields)


def _shard_facts(
    *,
    label_counts: Sequence[int],
    length_counts: Sequence[int],
    rejects: dict[str, object] | None,
    **fields: object,
) -> ShardFacts:
    return ShardFacts(
        label_counts=tuple(label_counts),
        length_counts=tuple(length_counts),
        rejects=None if rejects is None else RejectsFile(**rejects),  # type: ignore[arg-type]
        **fields,  # type: ignore[arg-type]
    )


def split_of_shards(name: str, shards: Sequence[ShardFacts]) -> Split:
    """The split that consists of `shards`, at least one, given in any order."""
    shards = sorted(shards, key=lambda shard: shard.index)
    return Split(
        name=name,
        num_examples=sum(shard.num_examples for shard in shards),
        num_documents=sum(shard.num_documents for shard in shards),
        num_tokens=sum(shard.num_tokens for shard in shards),
        num_truncated=sum(shard.num_truncated for shard in shards),
        num_unlabelled=sum(shard.num_unlabelled for shard in shards),
        label_counts=_column_sums([shard.label_counts for shard in shards]),
        length_counts=_column_sums([shard.length_counts for shard in shards]),
        shards=tuple(
            Shard(
                records_file=shard.records_file,
                texts_file=shard.texts_file,
                num_examples=shard.num_examples,
                size_bytes=shard.size_bytes,
                sha256=shard.sha256,
                length_counts=shard.length_counts,
            )
            for shard in shards
        ),
    )


def _column_sums(rows: list[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sum(column) for column in zip(*rows, strict=True))
