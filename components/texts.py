"""Texts files of a split -> windows of rows, in shard order and in flat memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .contracts import ShardSet
from .example_spec import LABEL, TEXT, TEXT_PAIR, kept_column

WINDOW_ROWS = 4096


@dataclass(frozen=True, kw_only=True)
class Window:
    """Consecutive rows of a split."""

    start: int  # number of the first row within the split, from 0
    texts: list[str]
    text_pairs: list[str] | None  # None when the data has no pairs
    labels: list[Any]  # label ids; of multi-label data a sorted list of them for each row
    kept: dict[str, list[str]] = field(default_factory=dict)  # cells by column of the source

    def __len__(self) -> int:
        return len(self.texts)

    def rows(self) -> list[tuple[str, ...]]:
        """(text,) or (text, text_pair) of each."""
        if self.text_pairs is None:
            return [(text,) for text in self.texts]
        return list(zip(self.texts, self.text_pairs, strict=True))


def windows(
    shards: ShardSet,
    split_name: str,
    *,
    max_rows: int | None = None,
    kept: Sequence[str] = (),
) -> Iterator[Window]:
    """The first `max_rows` rows (None: all) of a split, raw texts as they were read.

    Rows lie in the order of a hash of their content, so the first ones are a random sample. `kept`
    are those of `shards.kept_columns` that are read, too.
    """
    num_examples = shards.split(split_name).num_examples
    wanted = num_examples if max_rows is None else min(max_rows, num_examples)
    read = 0
    for shard in shards.split(split_name).shards:
        path = Path(shards.uri) / shard.texts_file
        for window in _windows_of(path, shards.has_text_pair, read, kept):
            read += len(window)
            if read > num_examples:
                raise _changed(shards, split_name, f"more than {num_examples}")
            yield _head(window, wanted - window.start)
            if read >= wanted < num_examples:
                return
    if read < num_examples:
        raise _changed(shards, split_name, str(read))


def joined(rows: Iterable[Window]) -> Window:
    """Consecutive windows as one."""
    parts = list(rows)
    pairs = [part.text_pairs for part in parts if part.text_pairs is not None]
    return Window(
        start=parts[0].start,
        texts=[text for part in parts for text in part.texts],
        text_pairs=[text for part in pairs for text in part] if pairs else None,
        labels=[label for part in parts for label in part.labels],
        kept={name: [cell for part in parts for cell in part.kept[name]] for name in parts[0].kept},
    )


def _changed(shards: ShardSet, split_name: str, received: str) -> ValueError:
    num_examples = shards.split(split_name).num_examples
    return ValueError(
        f"shards.{split_name}: the texts files must hold {num_examples} rows; "
        f"received {received}; preprocess again: {shards.uri} was changed"
    )


def sample(shards: ShardSet, split_name: str, *, num_rows: int, seed: int) -> Window:
    """At most `num_rows` different rows drawn at random, in the order they were drawn."""
    import numpy as np

    num_examples = shards.split(split_name).num_examples
    rng = np.random.default_rng(seed)
    drawn = rng.choice(num_examples, size=min(num_rows, num_examples), replace=False)
    wanted = {int(row): place for place, row in enumerate(drawn)}
    found: dict[int, tuple[str, str | None, Any]] = {}
    for window in windows(shards, split_name):
        for row in range(len(window)):
            place = wanted.get(window.start + row)
            if place is not None:
                pair = None if window.text_pairs is None else window.text_pairs[row]
                found[place] = (window.texts[row], pair, window.labels[row])
        if len(found) == len(wanted):
            break
    rows = [found[place] for place in range(len(wanted))]
    return Window(
        start=0,
        texts=[text for text, _, _ in rows],
        text_pairs=[pair or "" for _, pair, _ in rows] if shards.has_text_pair else None,
        labels=[label for _, _, label in rows],
    )


def sample_rows(
    shards: ShardSet, split_name: str, *, num_rows: int, seed: int
) -> list[tuple[str, ...]]:
    """The texts of `sample`, as (text,) or (text, text_pair)."""
    return sample(shards, split_name, num_rows=num_rows, seed=seed).rows()


def _windows_of(
    path: Path, has_text_pair: bool, start: int, kept: Sequence[str]
) -> Iterator[Window]:
    from pyarrow import parquet, types

    columns = [TEXT, TEXT_PAIR, LABEL] if has_text_pair else [TEXT, LABEL]
    columns += map(kept_column, kept)
    with parquet.ParquetFile(path) as file:
        label_type = file.schema_arrow.field(LABEL).type
        label_type = label_type.value_type if types.is_list(label_type) else label_type
        assert types.is_integer(label_type), f"{path}: labels are ids, not {label_type}"
        for batch in file.iter_batches(batch_size=WINDOW_ROWS, columns=columns):
            values = batch.to_pydict()
            window = Window(
                start=start,
                texts=values[TEXT],
                text_pairs=values.get(TEXT_PAIR),
                labels=values[LABEL],
                kept={name: values[kept_column(name)] for name in kept},
            )
            yield window
            start += len(window)


def _head(window: Window, num_rows: int) -> Window:
    """The first rows of a window."""
    if num_rows >= len(window):
        return window
    return Window(
        start=window.start,
        texts=window.texts[:num_rows],
        text_pairs=None if window.text_pairs is None else window.text_pairs[:num_rows],
        labels=window.labels[:num_rows],
        kept={name: cells[:num_rows] for name, cells in window.kept.items()},
    )
