"""Rows that are in no shard: written by many workers, gathered into one sorted file, judged."""

from __future__ import annotations

import heapq
import itertools
import json
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .. import files
from ..reading.rows import Reject, cut
from .duplicates.dropped import REASONS as DROP_REASONS
from .facts import RejectsFile
from .privacy import Privacy, Redactor, hashed

CHOSEN = frozenset({"dropped_by_function", "duplicate", *DROP_REASONS})
"""Reasons that are no fault of the row: left out because the config says so."""

MAX_OPEN = 128  # files

_REMEDIES = {
    "unknown_label": "correct preprocess.source.label_names or label_map, or mend the rows",
    "undecodable": "convert the files to UTF-8, as by iconv -f LATIN1 -t UTF-8",
}
"""Where many rows have one fault, it is seldom that of the rows."""


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """What was set aside in all."""

    counts: Counter[str]  # by reason
    first: dict[str, Reject]  # the first of each reason, by file and row


def private(reject: Reject, redactor: Redactor, privacy: Privacy) -> Reject:
    """The reject as a file may show it: its detail redacted and then cut, or only a hash of it."""
    detail = redactor.redact(reject.detail)
    return reject._replace(detail=hashed(detail) if privacy.rejects == "hash" else cut(detail))


def write_rejects(rejects: Iterable[Reject], folder: str, *, source: str = "") -> RejectsFile:
    """A file of one worker. `rejects` come sorted; `source`: the one file all of them are from."""
    path = files.join(folder, f"rejects-{uuid.uuid4().hex}.jsonl")
    with (
        files.appearing(path) as draft,
        draft.open("x", encoding="utf-8", errors="backslashreplace") as file,
    ):
        for reject in rejects:
            file.write(_to_line(reject))
    return RejectsFile(path=path, source=source)


def gather_rejects(written: Iterable[RejectsFile], path: Path) -> Rejected:
    """Merges the workers' files into one, sorted by file and row, in flat memory."""
    written = list(written)
    # Thousands of sources may have files each: read one source after the other, never all at once.
    of_sources = sorted((file for file in written if file.source), key=lambda file: file.source)
    counts: Counter[str] = Counter()
    first: dict[str, Reject] = {}
    with (
        tempfile.TemporaryDirectory(dir=path.parent, prefix=".rejects-") as scratch,
        open(path, "w", encoding="utf-8", errors="backslashreplace") as merged,
    ):
        of_shards = _few([file for file in written if not file.source], scratch)
        for reject in heapq.merge(_chain(of_sources), *map(_read, of_shards)):
            merged.write(_to_line(reject))
            counts[reject.reason] += 1
            first.setdefault(reject.reason, reject)
    return Rejected(counts=counts, first=first)


def _few(written: list[RejectsFile], scratch: str) -> list[RejectsFile]:
    """The same rows in at most `MAX_OPEN` files: a process may open no more than about 1,000."""
    while len(written) > MAX_OPEN:
        written = [
            write_rejects(heapq.merge(*map(_read, written[start : start + MAX_OPEN])), scratch)
            for start in range(0, len(written), MAX_OPEN)
        ]
    return written


def num_faults(counts: Counter[str]) -> int:
    """How many of the rows could not be used, as opposed to: were not wanted."""
    return sum(count for reason, count in counts.items() if reason not in CHOSEN)


def too_many(counts: Counter[str], num_read: int, max_share: float) -> bool:
    """Whether more rows could not be used than `max_share` of those read."""
    return num_faults(counts) > max_share * num_read


def check_share(rejected: Rejected, num_read: int, max_share: float, path: Path) -> None:
    """`ValueError` with the counts by reason and an example of each when there are too many."""
    if not too_many(rejected.counts, num_read, max_share):
        return
    reasons = "; ".join(
        f"{reason}: {count:,}, first at {first.file}:{first.row} ({first.detail})"
        for reason, count in rejected.counts.most_common()
        if reason not in CHOSEN
        for first in [rejected.first[reason]]
    )
    total = num_faults(rejected.counts)
    most = next(reason for reason, _ in rejected.counts.most_common() if reason not in CHOSEN)
    raise ValueError(
        f"preprocess.max_reject_share: at most {max_share:.2%} of the rows may be rejected; "
        f"received {total:,} of {num_read:,} ({total / num_read:.2%}): {reasons}; "
        f"{_REMEDIES.get(most, 'mend them')} (all are in {path}), or raise the share"
    )


def _chain(written: Iterable[RejectsFile]) -> Iterator[Reject]:
    """Files sorted by source. A source that several workers share has a file of each."""
    for _, of_source in itertools.groupby(written, key=lambda file: file.source):
        yield from heapq.merge(*map(_read, of_source))


def _read(written: RejectsFile) -> Iterator[Reject]:
    with files.reading(written.path) as lines:
        for line in lines:
            yield Reject(**json.loads(line))


def _to_line(reject: Reject) -> str:
    return json.dumps(reject._asdict(), ensure_ascii=False) + "\n"
