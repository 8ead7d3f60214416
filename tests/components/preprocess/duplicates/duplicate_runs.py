"""Rows -> fingerprints -> what is found of duplicates, for the tests of each step."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tpuline.components.preprocess.duplicates.decision import resolve
from tpuline.components.preprocess.duplicates.dropped import Dropped
from tpuline.components.preprocess.duplicates.fingerprints import (
    FingerprintFile,
    FingerprintWriter,
)
from tpuline.components.preprocess.duplicates.found import (
    Across,
    Duplicates,
    DuplicatesConfig,
    Within,
)
from tpuline.components.preprocess.duplicates.search import find, tasks
from tpuline.components.preprocess.duplicates.trailers import read_trailer
from tpuline.components.preprocess.sharding.splits import content, content_key, key_ranges

SENTENCE = "the quick brown fox jumps over a lazy dog and runs far away into the dark old woods"


class Line(NamedTuple):
    split: str
    text: str
    label: str = "x"


def fingerprints(
    folder: Path | str, lines: Iterable[tuple[Line, str, int]], config: DuplicatesConfig
) -> tuple[FingerprintFile, ...]:
    writer = FingerprintWriter(str(folder), config)
    lines = list(lines)
    for start in range(0, len(lines), 256):
        batch = lines[start : start + 256]
        texts = [content(line.text, None) for line, _, _ in batch]
        writer.add(
            splits=[line.split for line, _, _ in batch],
            keys=[content_key(text) for text in texts],
            texts=texts,
            files=[file for _, file, _ in batch],
            rows=[row for _, _, row in batch],
            labels=[line.label for line, _, _ in batch],
        )
    return writer.close()


def numbered(lines: Iterable[Line]) -> list[tuple[Line, str, int]]:
    return [(line, f"{line.split}.csv", row) for row, line in enumerate(lines, start=1)]


def search(
    folder: Path,
    files: tuple[FingerprintFile, ...],
    config: DuplicatesConfig,
    labels: Collection[str] | None = None,
) -> Duplicates:
    found = [find(task, str(folder)) for task in tasks(files, config, labels)]
    return resolve(found[::-1], config, str(folder))


def duplicates(folder: Path, lines: Iterable[Line], **settings: Any) -> Duplicates:
    config = DuplicatesConfig(**settings)
    return search(folder, fingerprints(folder, numbered(lines), config), config)


def dropped(found: Duplicates, texts: Iterable[str]) -> dict[str, tuple[str, str, int]]:
    if not found.dropped_file:
        return {}
    (everything,) = key_ranges(1)
    drops = Dropped.load(found.dropped_file, everything)
    reasons = {text: drops.reason(content_key(content(text, None))) for text in texts}
    return {text: reason for text, reason in reasons.items() if reason is not None}


def num_dropped(found: Duplicates) -> int:
    with open(found.dropped_file, "rb") as file:
        return int(read_trailer(file)["num_keys"])


def within(found: Duplicates, split: str = "train") -> Within:
    (part,) = (part for part in found.within if part.split == split)
    return part


def across(found: Duplicates, first: str = "train", second: str = "test") -> Across:
    (part,) = (part for part in found.across if (part.first, part.second) == (first, second))
    return part


def variant(number: int) -> str:
    """All but the last word are the same."""
    return f"{SENTENCE} {SENTENCE[::-1]} number{number}"
