"""Rows of source files -> spilled rows, fingerprints and the facts of both: the first pass."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf

from ..graph_tokenizer import clean
from ..label_sets import names_of
from ..reading import sources
from ..reading.rows import Reject, Row, cut, reject
from ..reading.source import InputFile
from ..running import progress
from .batching import batches
from .duplicates.fingerprints import FingerprintWriter
from .facts import Portion, RejectsFile, Spilled
from .labels import MAX_LABELS, configured_labels, named, unknown_label, unknown_name
from .leakage import SampledRow, merge_samples
from .privacy import Redactor
from .rejects import private, write_rejects
from .sharding.spill import SpilledRow, SpillWriter
from .sharding.splits import content, content_key, cut_split
from .work import Work

_STRINGS = tf.TensorSpec([None], tf.string)
_SAMPLE_ROWS = 20_000  # kept between two prunings


class Spiller:
    """Reads portions of files one after the other and adds up what they hold."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._redactor = Redactor(work.privacy)
        self._unseen = Redactor(work.privacy)  # of what is in no shard: not counted
        self._clean = _clean_function()
        names = work.source.label_names
        self._names = None if names is None else configured_labels(names).by_cell()
        self._separator = work.source.label_separator
        self._writer = SpillWriter(work.scratch_dir, work.num_buckets)
        self._fingerprints = FingerprintWriter(work.scratch_dir, work.duplicates)
        self._rejects_files: list[RejectsFile] = []
        self._num_read = 0
        self._rejected: dict[str, Counter[str]] = {}
        self._labels: dict[str, Counter[str]] = {}
        self._problems: list[str] = []
        self._sample: list[SampledRow] = []

    def spill(self, portion: Portion) -> None:
        """All rows of one portion: spilled, or set aside with the reason."""
        for file in portion.files:
            rejects = self._judged(file, portion)
            first = next(rejects, None)
            if first is not None:  # seldom: most sources need no file for it
                counted = self._counted(file, itertools.chain((first,), rejects))
                written = write_rejects(counted, self._work.scratch_dir, source=file.name)
                self._rejects_files.append(written)

    def close(self) -> Spilled:
        """Everything is in its place after it."""
        return Spilled(
            spill_files=self._writer.close(),
            fingerprint_files=self._fingerprints.close(),
            rejects_files=tuple(self._rejects_files),
            num_read=self._num_read,
            rejected=self._rejected,
            redacted=self._redactor.counts,
            column_sample=merge_samples([self._sample]),
            label_counts=self._labels,
            problems=tuple(self._problems),
        )

    def _counted(self, file: InputFile, rejects: Iterable[Reject]) -> Iterator[Reject]:
        counts = self._rejected.setdefault(file.split, Counter())
        for rejected in rejects:
            counts[rejected.reason] += 1
            yield private(rejected, self._unseen, self._work.privacy)

    def _judged(self, file: InputFile, portion: Portion) -> Iterator[Reject]:
        """Spills the sound rows of one file; yields the others in their order."""
        for batch in batches(self._read(file, portion), _num_characters):
            self._num_read += len(batch)
            progress.tell("reading", len(batch), note=file.name)
            rows = [self._redacted(self._named(row)) for row in batch if isinstance(row, Row)]
            made = iter(self._cleaned_rows(rows))
            kept: list[tuple[Row, str, str | None]] = []
            for row in batch:
                rejected = row if isinstance(row, Reject) else self._fault(*(found := next(made)))
                if rejected is None:
                    kept.append(found)
                else:
                    yield rejected
            self._add(file, kept)

    def _named(self, row: Row) -> Row:
        """With the configured name in place of a number that stands for it."""
        name = row.label if self._names is None else named(row.label, self._names, self._separator)
        return row if name == row.label else row._replace(label=name)

    def _redacted(self, row: Row) -> Row:
        """Configured labels stay as they are; others may be anything, free text by mistake too."""
        if not self._redactor.active:
            return row
        redact, unseen, pair = self._redactor.redact, self._unseen.redact, row.text_pair
        return row._replace(
            text=redact(row.text),
            text_pair=None if pair is None else redact(pair),
            label=unseen(row.label) if self._names is None else row.label,
            others=row.others and tuple((name, unseen(cell)) for name, cell in row.others),
            kept=tuple(map(redact, row.kept)),
        )

    def _fault(self, row: Row, cleaned: str, pair: str | None) -> Reject | None:
        """The row as a reject when nothing of it is left, or its label is none of the configured
        ones. What train must have had to be known is seen when all rows are: see `kept_rows`.
        """
        for name, text in (("text", cleaned), ("text pair", pair)):
            if text == "":
                return reject(row.file, row.row, "empty_text", f"nothing is left of the {name}")
        known = self._names
        unknown = None if known is None else unknown_name(row.label, known, self._separator)
        if known is None or unknown is None:
            return None
        detail = unknown_label(unknown, set(known.values()))
        return reject(row.file, row.row, "unknown_label", detail)

    def _add(self, file: InputFile, rows: list[tuple[Row, str, str | None]]) -> None:
        """Spills sound rows."""
        contents = [content(cleaned, pair) for _, cleaned, pair in rows]
        keys = [content_key(one) for one in contents]
        splits = [file.split] * len(rows)
        if file.split == "train" and self._work.cut:
            splits = [cut_split(key, self._work.cut) for key in keys]
        for (row, cleaned, pair), key, split in zip(rows, keys, splits, strict=True):
            kept = tuple(map(cut, row.kept))  # only now: a redaction may go by what is cut off
            spilled = SpilledRow(
                row.label, row.text, row.text_pair, cleaned, pair, row.file, row.row, kept
            )
            self._writer.add(split, key, spilled)
            counts = self._labels.setdefault(split, Counter())
            # Of a column that is no label column, only as many cells as it takes to say so.
            for name in names_of(row.label, self._separator) or ("",):
                if self._names is not None or name in counts or len(counts) <= MAX_LABELS:
                    counts[name] += 1
        self._fingerprints.add(
            splits=splits,
            keys=keys,
            texts=contents,
            files=[row.file for row, *_ in rows],
            rows=[row.row for row, *_ in rows],
            labels=[row.label for row, *_ in rows],
        )
        if file.split == "train" and self._work.sample_columns:
            self._sample += [
                SampledRow(row.label, row.others) for row, *_ in rows if row.others is not None
            ]
            if len(self._sample) > 2 * _SAMPLE_ROWS:
                self._sample = list(merge_samples([self._sample]))

    def _cleaned_rows(self, rows: list[Row]) -> Iterator[tuple[Row, str, str | None]]:
        """Rows with their cleaned text and pair.

        These are redacted once more: without its tags a text may show what they hid. It then takes
        the place of the raw one, so that what is stored still gives what is tokenised.
        """
        texts = self._cleaned([row.text for row in rows])
        pairs: list[Any] = [None] * len(rows)
        if self._work.has_text_pair:
            pairs = self._cleaned([row.text_pair or "" for row in rows])
        for row, text, pair in zip(rows, texts, pairs, strict=True):
            if self._redactor.active:
                shown = self._redactor.redact(text)
                if shown != text:
                    row, text = row._replace(text=shown), shown
                shown = pair and self._redactor.redact(pair)
                if shown != pair:
                    row, pair = row._replace(text_pair=shown), shown
            yield row, text, pair

    def _cleaned(self, texts: list[str]) -> list[str]:
        return [text.decode() for text in self._clean(tf.constant(texts, tf.string)).numpy()]

    def _read(self, file: InputFile, portion: Portion) -> Iterator[Row | Reject]:
        try:
            yield from sources.read(
                self._work.source, file, stripe=portion.stripe, num_stripes=portion.num_stripes
            )
        except ValueError as error:  # about this file: in words for the user
            self._problems.append(self._redactor.redact(str(error)))
        except OSError as error:
            self._problems.append(
                f"{file.field}: {file.name} must be readable; received {error}; mend it"
            )


@functools.cache
def _clean_function() -> Any:
    """`clean`, compiled once a process."""
    return tf.function(clean, input_signature=[_STRINGS], autograph=False)


def _num_characters(row: Row | Reject) -> int:
    return 0 if isinstance(row, Reject) else len(row.text) + len(row.text_pair or "")
