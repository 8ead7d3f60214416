"""Spilled rows of one range of keys -> TFRecord file, Parquet file of texts, and their facts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

from ... import files
from ...example_spec import LABEL, SEGMENT_IDS, TOKEN_IDS
from ...label_sets import multi_hot, names_of
from ...reading.rows import Reject, reject
from ..batching import batches
from ..duplicates.dropped import Dropped
from ..facts import RejectsFile, ShardFacts, ShardTask
from ..labels import unknown_label, unknown_name
from ..privacy import Privacy, Redactor
from ..rejects import private, write_rejects
from ..statistics.builder import StatisticsBuilder
from .records import encode_examples
from .spill import SpilledRow, read_sorted
from .splits import content
from .texts_file import TextsWriter
from .tfrecord import frame


class Tokens(NamedTuple):
    """Tokenised rows as numpy arrays; values row after row."""

    token_ids: Any  # int32 (N,)
    segment_ids: Any | None  # int32 (N,); None without text pairs
    row_lengths: Any  # int64 (B,)
    truncated: Any  # bool (B,)


Tokenize = Callable[[list[SpilledRow]], Tokens]
KeyedRow = tuple[bytes, SpilledRow]


@dataclass(frozen=True, kw_only=True)
class ShardWork:
    """What all shards of a split have in common."""

    label_ids: Mapping[str, int]  # by cell
    num_labels: int
    num_shards: int  # of all splits
    sequence_length: int
    has_text_pair: bool
    drop_repeats: bool  # rows with the content and label of another one
    dropped_file: str  # keys that are left out; "" for none
    out_dir: str
    scratch_dir: str
    privacy: Privacy
    kept_columns: tuple[str, ...] = ()
    label_separator: str | None = None  # of multi-label data

    def label_of(self, cell: str) -> Any:
        """As the texts file has it: the label id, or of multi-label data a sorted list of them."""
        if self.label_separator is None:
            return self.label_ids[cell]
        return sorted(self.label_ids[name] for name in names_of(cell, self.label_separator))

    def targets(self, labels: list[Any]) -> Any:
        """As examples have them: label ids `(B,)`, or `(B, C)` of 1 and 0."""
        import numpy as np

        if self.label_separator is None:
            return np.asarray(labels)
        return multi_hot(labels, self.num_labels).astype(np.int64)


def write_shard(
    task: ShardTask, work: ShardWork, *, tokenize: Tokenize, statistics: StatisticsBuilder
) -> ShardFacts:
    """Writes the rows in the order of their keys, but for those that are set aside.

    `statistics` is fed every batch. Files appear under their names only when they are whole, so
    that two attempts do not mix.
    """
    rejects: list[Reject] = []
    counts = Counts(work.num_labels, work.sequence_length)
    sink = ShardFiles(task, work)
    with sink:
        for batch in keyed_batches(kept_rows(task, work, rejects)):
            keys, rows = [key for key, _ in batch], [row for _, row in batch]
            labels = [work.label_of(row.label) for row in rows]
            targets = work.targets(labels)
            tokens = tokenize(rows)
            sink.write(encode_examples(_features(targets, tokens)))
            sink.texts.add(keys, rows, labels)
            counts.add(targets, tokens)
            add_statistics(statistics, keys, rows, targets, tokens)
    return sink.facts(counts, write_sorted(rejects, work))


def add_statistics(
    builder: StatisticsBuilder,
    keys: list[bytes],
    rows: list[SpilledRow],
    labels: Any | None,
    tokens: Tokens,
) -> None:
    """Feeds one batch; `labels` as of `ShardWork.targets`."""
    paired = tokens.segment_ids is not None
    builder.add(
        texts=[row.cleaned for row in rows],
        pairs=[row.cleaned_pair or "" for row in rows] if paired else None,
        labels=labels,
        token_ids=tokens.token_ids,
        row_lengths=tokens.row_lengths,
        truncated=tokens.truncated,
        keys=keys,
    )


def keyed_batches(rows: Iterable[KeyedRow]) -> Iterator[list[KeyedRow]]:
    """Batches that are worth a call of the tokenizer."""
    return batches(rows, lambda row: len(row[1].cleaned) + len(row[1].cleaned_pair or ""))


def kept_rows(task: ShardTask, work: ShardWork, rejects: list[Reject]) -> Iterator[KeyedRow]:
    """The rows that go into the shard; the others are added to `rejects`.

    Raises:
        ValueError: two rows of different content have the same key.
    """
    dropped = Dropped.load(work.dropped_file, task.keys) if work.dropped_file else None
    redactor = Redactor(work.privacy)
    last_key, last = b"", None
    for key, row in read_sorted(task.spill_files, task.keys):
        strange = unknown_name(row.label, work.label_ids, work.label_separator)
        if strange is not None:
            detail = unknown_label(strange, work.label_ids)
            unknown = reject(row.file, row.row, "unknown_label", detail)
            rejects.append(private(unknown, redactor, work.privacy))
            continue
        why = dropped.reason(key) if dropped is not None else None
        if why is not None:
            reason, file, number = why
            detail = f"like {file}:{number}"
            rejects.append(reject(row.file, row.row, reason, detail))
            continue
        if last is not None and key == last_key:
            _check_same_content(last, row)
            if work.drop_repeats and row.label == last.label:
                detail = f"like {last.file}:{last.row}"
                rejects.append(Reject(row.file, row.row, "duplicate", detail))
                continue
        last_key, last = key, row
        yield key, row


def _check_same_content(first: SpilledRow, second: SpilledRow) -> None:
    if content(first.cleaned, first.cleaned_pair) != content(second.cleaned, second.cleaned_pair):
        raise ValueError(
            f"preprocess: rows of different content must have different ids; received one for "
            f"{first.file}:{first.row} and {second.file}:{second.row}; change or drop one of them"
        )


def write_sorted(rejects: list[Reject], work: ShardWork) -> RejectsFile | None:
    """The rejects of one shard as a file, if there are any."""
    return write_rejects(sorted(rejects), work.scratch_dir) if rejects else None


def _features(targets: Any, tokens: Tokens) -> dict[str, tuple[Any, Any]]:
    """The columns of a batch, sorted by name as deterministic protobuf would."""
    import numpy as np

    width = 1 if targets.ndim == 1 else targets.shape[1]
    features = {LABEL: (targets.ravel(), np.full(len(targets), width, np.int64))}
    if tokens.segment_ids is not None:
        features[SEGMENT_IDS] = tokens.segment_ids, tokens.row_lengths
    return features | {TOKEN_IDS: (tokens.token_ids, tokens.row_lengths)}


class ShardFiles:
    """The two files of a shard, which appear when the block ends well."""

    def __init__(self, task: ShardTask, work: ShardWork) -> None:
        part = f"{task.keys.index:05d}-of-{task.keys.count:05d}"
        self._task, self._work = task, work
        self.records_file = f"{task.split}/shard-{part}.tfrecord"
        self.texts_file = f"{task.split}/texts-{part}.parquet"
        self._digest, self._size_bytes = hashlib.sha256(), 0
        self._stack = ExitStack()

    def __enter__(self) -> ShardFiles:
        out = self._work.out_dir
        with ExitStack() as stack:
            records = stack.enter_context(files.appearing(files.join(out, self.records_file)))
            texts = stack.enter_context(files.appearing(files.join(out, self.texts_file)))
            self._records = stack.enter_context(records.open("wb"))
            self.texts = stack.enter_context(
                TextsWriter(
                    texts,
                    has_text_pair=self._work.has_text_pair,
                    labelled=self._work.num_labels > 0,
                    several=self._work.label_separator is not None,
                    kept_columns=self._work.kept_columns,
                )
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def write(self, examples: Iterable[bytes]) -> None:
        """Appends serialised examples."""
        framed = frame(examples)
        self._records.write(framed)
        self._digest.update(framed)
        self._size_bytes += len(framed)

    def facts(self, counts: Counts, rejects: RejectsFile | None) -> ShardFacts:
        """What there is to know of the finished shard."""
        return ShardFacts(
            split=self._task.split,
            index=self._task.keys.index,
            records_file=self.records_file,
            texts_file=self.texts_file,
            size_bytes=self._size_bytes,
            sha256=self._digest.hexdigest(),
            rejects=rejects,
            **counts.facts(),
        )


class Counts:
    """Facts of the examples written so far."""

    def __init__(self, num_labels: int, sequence_length: int) -> None:
        import numpy as np

        self._labels = np.zeros(num_labels, np.int64)
        self._lengths = np.zeros(sequence_length + 1, np.int64)
        self._num_truncated = self._num_unlabelled = 0

    def add(self, targets: Any, tokens: Tokens) -> None:
        """Counts one batch; `targets` as of `ShardWork.targets`."""
        import numpy as np

        if np.ndim(targets) == 1:
            self._labels += np.bincount(targets, minlength=len(self._labels))
        else:
            self._labels += targets.sum(axis=0)
            self._num_unlabelled += int((targets.sum(axis=1) == 0).sum())
        self._lengths += np.bincount(tokens.row_lengths, minlength=len(self._lengths))
        self._num_truncated += int(tokens.truncated.sum())

    def facts(self) -> dict[str, Any]:
        """The fields of `ShardFacts` of the same names."""
        lengths = self._lengths.tolist()
        return {
            "num_examples": sum(lengths),
            "num_documents": sum(lengths),
            "num_tokens": sum(length * count for length, count in enumerate(lengths)),
            "num_truncated": self._num_truncated,
            "num_unlabelled": self._num_unlabelled,
            "label_counts": tuple(self._labels.tolist()),
            "length_counts": tuple(lengths),
        }
