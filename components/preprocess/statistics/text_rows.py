"""Texts of a file or of a ShardSet -> a sample of rows, as they were read."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from ...contracts import ShardSet, Split
from ...example_spec import LABEL, TEXT, TEXT_PAIR
from ...reading import sources
from ...reading.rows import Row
from ...reading.source import Source
from ..labels import configured_labels, named
from ..privacy import Redactor

MAX_ROWS = 20_000  # enough to see labels shift by a hundredth
_BATCH_ROWS = 1024


class TextRow(NamedTuple):
    """One text, not cleaned."""

    text: str
    text_pair: str | None
    label: str | None  # its name, or of multi-label data the cell; None: unlabelled


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Rows drawn from all that there are."""

    rows: tuple[TextRow, ...]
    num_rows: int  # drawn from


def draw(rows: Iterable[TextRow], most: int = MAX_ROWS) -> Sample:
    """At most `most` rows, the same ones on every call, in their order. Holds no more than these.

    Drawn by a hash of text and place, so that a text that comes often is drawn often.
    """
    count = 0

    def keyed() -> Iterator[tuple[bytes, int, TextRow]]:
        nonlocal count
        for row in rows:
            count += 1
            yield row_key(row, count), count, row

    chosen = heapq.nsmallest(most, keyed(), key=lambda item: item[:2])
    chosen.sort(key=lambda item: item[1])
    return Sample(rows=tuple(row for _, _, row in chosen), num_rows=count)


def row_key(row: TextRow, place: int) -> bytes:
    """16 bytes, evenly spread."""
    content = f"{place}\0{row.text}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=16).digest()


def first_rows(shards: ShardSet, split: Split, most: int = MAX_ROWS) -> Iterator[TextRow]:
    """Rows of a split as they lie, by a hash of their content: the first ones are a sample."""
    from pyarrow import parquet

    for shard in split.shards:
        with parquet.ParquetFile(Path(shards.uri) / shard.texts_file) as file:
            names = [n for n in (TEXT, TEXT_PAIR, LABEL) if n in file.schema_arrow.names]
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=names):
                for cells in batch.to_pylist():
                    if most <= 0:
                        return
                    most -= 1
                    label = cells.get(LABEL)
                    name = None if label is None else shards.answer(label)
                    yield TextRow(cells[TEXT], cells.get(TEXT_PAIR), name)


def file_rows(path: str, like: Mapping[str, Any], shards: ShardSet) -> Iterator[TextRow]:
    """Sound rows of a file in any format that `preprocess.source` takes, labels where it has them.

    `like` is the section `source` that `shards` was made with: its columns are looked for, then
    `text`. `ValueError` when the file will not do.
    """
    source = _source(path, like)
    ids = configured_labels(shards.label_names).ids
    for file in sources.list_files(source, "train", "."):
        for row in sources.read(source, file):
            if isinstance(row, Row):
                label = _label_name(row.label, ids, shards) if source.labelled else None
                yield TextRow(row.text, row.text_pair, label)


def redacted(row: TextRow, redactor: Redactor) -> TextRow:
    """Without the personal data that `redactor` knows."""
    redact = redactor.redact
    return TextRow(
        text=redact(row.text),
        text_pair=None if row.text_pair is None else redact(row.text_pair),
        label=None if row.label is None else redact(row.label),
    )


def _label_name(cell: str, ids: Mapping[str, int], shards: ShardSet) -> str | None:
    separator = shards.label_separator
    if separator is not None:
        names = {cell: shards.label_names[label_id] for cell, label_id in ids.items()}
        return named(cell, names, separator)
    if not cell:
        return None
    return shards.label_names[ids[cell]] if cell in ids else cell


def _source(path: str, like: Mapping[str, Any]) -> Source:
    """The first set of columns that the file has; the error of the first where it has none."""
    problems = []
    for columns in _candidates(path, like):
        source = Source(train=path, **columns)
        try:
            sources.check(source, ".")
            return source
        except ValueError as error:
            problems.append(error)
    raise problems[0]


def _candidates(path: str, like: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if ".txt" in PurePath(path).suffixes:
        yield {"format": "lines", "label_column": None}
        return
    plain = {"text_column": like["text_column"], "text_pair_column": like["text_pair_column"]}
    label = like["label_column"] if like.get("label_from", "column") == "column" else None
    texts = [plain]
    if plain["text_column"] != TEXT and plain["text_pair_column"] is None:
        texts.append({"text_column": TEXT, "text_pair_column": None})
    for columns in texts:
        if label is not None:
            labelled = {key: like.get(key) for key in ("label_map", "label_separator")}
            yield columns | {"label_column": label} | labelled
        yield columns | {"label_column": None}
