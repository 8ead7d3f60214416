"""Rows set aside: written by many workers, gathered into one sorted file, judged by their share."""

from __future__ import annotations

import heapq
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .facts import RejectsFile
from .rows import Reject


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """What was set aside in all."""

    counts: Counter[str]  # by reason
    first: dict[str, Reject]  # the first of each reason, by file and row


def write_rejects(rejects: Iterable[Reject], folder: Path, *, source: str = "") -> RejectsFile:
    """A file of one worker. `rejects` come sorted; `source`: the one file all of them are from."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rejects-{uuid.uuid4().hex}.jsonl"
    num_rows = 0
    with open(path, "x", encoding="utf-8") as file:
        for reject in rejects:
            file.write(_to_line(reject))
            num_rows += 1
    return RejectsFile(path=str(path), num_rows=num_rows, source=source)


def gather_rejects(files: Iterable[RejectsFile], path: Path) -> Rejected:
    """Merges the workers' files into one, sorted by file and row, in flat memory."""
    files = list(files)
    # Thousands of sources may have a file each: read one after the other, never all at once.
    of_sources = sorted((file for file in files if file.source), key=lambda file: file.source)
    streams = [_chain(of_sources), *(_read(file) for file in files if not file.source)]
    counts: Counter[str] = Counter()
    first: dict[str, Reject] = {}
    with open(path, "w", encoding="utf-8") as merged:
        for reject in heapq.merge(*streams):
            merged.write(_to_line(reject))
            counts[reject.reason] += 1
            first.setdefault(reject.reason, reject)
    return Rejected(counts=counts, first=first)


def too_many(num_rejected: int, num_read: int, max_share: float) -> bool:
    """Whether more rows were set aside than `max_share` of those read."""
    return num_rejected > max_share * num_read


def check_share(rejected: Rejected, num_read: int, max_share: float, path: Path) -> None:
    """`ValueError` with the counts by reason and an example of each when there are too many."""
    total = rejected.counts.total()
    if not too_many(total, num_read, max_share):
        return
    reasons = "; ".join(
        f"{reason}: {count:,}, first at {first.file}:{first.row} ({first.detail})"
        for reason, count in rejected.counts.most_common()
        for first in [rejected.first[reason]]
    )
    raise ValueError(
        f"preprocess.max_reject_share: at most {max_share:.2%} of the rows may be rejected; "
        f"received {total:,} of {num_read:,} ({total / num_read:.2%}): {reasons}; mend them "
        f"(all are in {path}), or raise the share"
    )


def _chain(files: Iterable[RejectsFile]) -> Iterator[Reject]:
    for file in files:
        yield from _read(file)


def _read(file: RejectsFile) -> Iterator[Reject]:
    with open(file.path, encoding="utf-8") as lines:
        for line in lines:
            yield Reject(**json.loads(line))


def _to_line(reject: Reject) -> str:
    return json.dumps(reject._asdict(), ensure_ascii=False) + "\n"
