"""Do the SavedModel's signatures give what the Keras model gives, on the same texts?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf

from ..contracts import Parity, Shard, ShardSet, Split
from ..example_spec import SEGMENT_IDS, TEXT, TEXT_PAIR, TOKEN_IDS
from ..graph_tokenizer import TextTokenizer, TokenRows
from ..messy import MESSY_TEXTS
from ..serving.answering import PROBABILITIES, Answering, SavedModel
from ..serving.answering import load as load_served
from ..stage import Log
from ..tokenizers import load
from .head import Head
from .signatures import Tensors, pad

BATCH_SIZE = 64


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows to compare on; `records` are their stored examples, for rows that come from shards."""

    columns: tuple[list[bytes], ...]  # texts [, text pairs]
    records: list[bytes] | None


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was seen on one row."""

    text: bytes
    same_tokens: bool
    max_abs_diff: float  # of a probability, 0 to 1; 1 when one is not a number


def check(
    folder: Path,
    model: Any,
    shards: ShardSet,
    *,
    head: Head,
    num_texts: int,
    tolerance: float,
    log: Log,
) -> Parity:
    """Loads what is served from `folder` again and compares it with `model` and with the shards.

    For `num_texts` held-out rows and every messy text: token ids of the string signature against
    those of a tokenizer built anew from the vocabulary file; probabilities of the string and the
    token signature against the Keras model, which gets the rows padded to the sequence length
    while the signatures pad to the batch. For the held-out rows also: the stored ids against the
    tokenizer's, and the probabilities of the `examples` signature.
    """
    tokenizer = load(
        shards.tokenizer,
        Path(shards.uri) / shards.vocabulary_file,
        lowercase=shards.lowercase,
        sequence_length=shards.sequence_length,
        has_text_pair=shards.has_text_pair,
    )
    comparison = Comparison(load_served(folder), model, tokenizer, shards, head)
    batches = list(held_out(shards, num_texts))
    available = sum(len(batch.columns[0]) for batch in batches)
    if available < num_texts:
        log.warning(
            f"parity is proven on fewer held-out texts than asked for: {available}, all of test "
            f"and validation, instead of {num_texts}"
        )
    batches.extend(_messy(shards.has_text_pair))
    rows: list[Row] = []
    with _full_float32():
        for done, batch in enumerate(batches):
            log.progress("parity", done, len(batches))
            rows.extend(comparison.rows(batch))
    log.progress("parity", len(batches), len(batches), f"{len(rows)} texts")
    return judge(rows, tolerance, log)


def judge(rows: list[Row], tolerance: float, log: Log) -> Parity:
    """The verdict over all rows; the first row that strays is told to `log`."""
    assert rows, "nothing was compared"
    strays = [row for row in rows if not row.same_tokens or row.max_abs_diff > tolerance]
    result = Parity(
        passed=not strays,
        num_texts=len(rows),
        token_mismatches=sum(not row.same_tokens for row in rows),
        max_abs_diff=max(row.max_abs_diff for row in rows),
        tolerance=tolerance,
    )
    if strays:
        what = "token ids differ" if not strays[0].same_tokens else "probabilities differ"
        text = strays[0].text.decode("utf-8", errors="backslashreplace")[:200]
        log.warning(
            f"the SavedModel does not do what the Keras model does on {len(strays)} of "
            f"{len(rows)} texts; {what} first on {text!r}",
            token_mismatches=result.token_mismatches,
            max_abs_diff=result.max_abs_diff,
            tolerance=tolerance,
        )
    return result


class Comparison:
    """What is served beside one Keras model and one tokenizer."""

    def __init__(
        self,
        served: Answering,
        model: Any,
        tokenizer: TextTokenizer,
        shards: ShardSet,
        head: Head,
    ) -> None:
        self._served, self._tokenizer = served, tokenizer
        # As a function: op by op, a recurrent model takes minutes over long rows.
        self._predict = tf.function(
            lambda features: head.probabilities(model(features, training=False)),
            reduce_retracing=True,
        )
        self._has_text_pair, self._width = shards.has_text_pair, shards.sequence_length

    def rows(self, batch: Batch) -> list[Row]:
        """What was seen on each row of the batch, in its order."""
        tokens = self._tokenizer(*(tf.constant(column) for column in batch.columns))
        features = pad(tokens, self._has_text_pair)
        same = self._same_tokens(batch.columns, features)
        expected = self._keras_probabilities(features)
        answers = [
            self._served.texts(batch.columns)[PROBABILITIES],
            self._served.tokens({name: value.numpy() for name, value in features.items()}),
        ]
        if batch.records is not None:
            same &= _stored_alike(batch.records, tokens, self._has_text_pair)
            if isinstance(self._served, SavedModel):
                answers.append(self._served.examples(batch.records))
        diff = np.max([np.abs(answer - expected).max(axis=1) for answer in answers], axis=0)
        diff = np.where(np.isnan(diff), 1.0, diff)
        return [
            Row(text=text, same_tokens=bool(alike), max_abs_diff=float(distance))
            for text, alike, distance in zip(batch.columns[0], same, diff, strict=True)
        ]

    def _same_tokens(self, columns: tuple[list[bytes], ...], features: Tensors) -> np.ndarray:
        served = _widen(self._served.token_ids(columns), self._width)
        ours = _widen(features[TOKEN_IDS], self._width)
        same: np.ndarray = (served.numpy() == ours.numpy()).all(axis=1)
        return same

    def _keras_probabilities(self, features: Tensors) -> np.ndarray:
        wide = {name: _widen(feature, self._width) for name, feature in features.items()}
        return self._predict(wide).numpy()


def held_out(shards: ShardSet, num_texts: int) -> Iterator[Batch]:
    """`num_texts` rows spread over the test split; where it is smaller, validation fills up."""
    missing = num_texts
    for name in ("test", "validation"):
        split = shards.split(name)
        for shard, positions in _spread(split, missing):
            missing -= len(positions)
            yield from _read(Path(shards.uri), shard, positions, shards.has_text_pair)


def _spread(split: Split, num_rows: int) -> Iterator[tuple[Shard, list[int]]]:
    """Which rows of which shards to take, evenly over the split."""
    total = split.num_examples
    wanted = min(num_rows, total)
    taken = [index * total // wanted for index in range(wanted)]
    start = 0
    for shard in split.shards:
        end = start + shard.num_examples
        positions = [index - start for index in taken if start <= index < end]
        if positions:
            yield shard, positions
        start = end


def _read(root: Path, shard: Shard, positions: list[int], has_text_pair: bool) -> Iterator[Batch]:
    names = [TEXT, TEXT_PAIR] if has_text_pair else [TEXT]
    table = pq.read_table(root / shard.texts_file, columns=names).take(positions)
    columns = [[text.encode() for text in table[name].to_pylist()] for name in names]
    wanted = set(positions)
    stored = tf.data.TFRecordDataset(str(root / shard.records_file)).as_numpy_iterator()
    records = [record for position, record in enumerate(stored) if position in wanted]
    for start in range(0, len(positions), BATCH_SIZE):
        rows = slice(start, start + BATCH_SIZE)
        yield Batch(columns=tuple(column[rows] for column in columns), records=records[rows])


def _messy(has_text_pair: bool) -> Iterator[Batch]:
    texts = list(MESSY_TEXTS)
    pairs = texts[7:] + texts[:7]  # any other text
    yield Batch(columns=(texts, pairs) if has_text_pair else (texts,), records=None)


def _stored_alike(records: list[bytes], tokens: TokenRows, has_text_pair: bool) -> np.ndarray:
    """Per row: are the ids in the stored example those that the tokenizer makes of the text?"""
    expected = {TOKEN_IDS: tokens.token_ids.to_list()}
    if has_text_pair:
        expected[SEGMENT_IDS] = tokens.segment_ids.to_list()
    stored = [tf.train.Example.FromString(record).features.feature for record in records]
    return np.array(
        [
            all(list(row[name].int64_list.value) == ids[index] for name, ids in expected.items())
            for index, row in enumerate(stored)
        ]
    )


def _widen(feature_BL: tf.Tensor, width: int) -> tf.Tensor:
    """Zeros (padding) on the right, up to `width` columns."""
    return tf.pad(feature_BL, [[0, 0], [0, width - tf.shape(feature_BL)[1]]])


@contextmanager
def _full_float32() -> Iterator[None]:
    """GPUs round float32 products to TF32, differently for each shape: not while comparing."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
