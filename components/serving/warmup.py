"""A served model -> the requests that a server warms up with, so that no client waits for it.

TF Serving replays `assets.extra/tf_serving_warmup_requests` before it calls a version ready.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from ..example_spec import PADDING_MASK, SEGMENT_IDS, TEXT, TEXT_PAIR, TOKEN_IDS
from .answering import SavedModel

MAX_RECORDS = 1000
"""TF Serving refuses a file with more."""

Inputs = dict[str, tf.Tensor]


@dataclass(frozen=True, kw_only=True)
class Written:
    """Requests that are in a warm-up file, and what a server will not have seen."""

    num_requests: int
    num_cut: int = 0  # requests past `MAX_RECORDS`: raw strings come first, and are kept
    widths_left_out: tuple[int, ...] = ()  # no row falls into

    def warnings(self) -> Iterator[str]:
        """For people; the first requests of what is missing wait for what a server compiles."""
        if self.num_cut:
            yield (
                f"{self.num_cut} of {self.num_requests + self.num_cut} warm-up requests are left "
                f"out, since TensorFlow Serving takes {MAX_RECORDS}"
            )
        if self.widths_left_out:
            yield (
                f"no warm-up request is of {', '.join(map(str, self.widths_left_out))} tokens: no "
                "words of the rows make as many"
            )


def write(
    file: Path,
    model: SavedModel,
    rows: Sequence[tuple[str, ...]],
    *,
    name: str,
    batch_sizes: Sequence[int],
    widths: Sequence[int],
) -> Written:
    """Writes one record a request: raw strings in every pair of batch size and width, for that is
    what is compiled for; the other signatures in every batch size and in every width.

    `rows`, (text,) or (text, text pair), give the words.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    texts = of_widths(model, rows, widths)
    pairs = [(size, width) for size in batch_sizes for width in texts]
    few = [(size, min(texts)) for size in batch_sizes] + [(1, width) for width in texts]
    requests = [("serving_default", _strings(texts[width], size)) for size, width in pairs]
    has_text_pair = len(rows[0]) > 1
    for size, width in dict.fromkeys(few):
        ids = model.token_ids([[column] for column in texts[width]])[0].tolist()
        requests.append(("tokens", _tokens(ids, size, has_text_pair)))
        requests.append(("examples", _examples(ids, size, has_text_pair)))
    kept = requests[:MAX_RECORDS]
    with tf.io.TFRecordWriter(str(file)) as writer:
        for signature, inputs in kept:
            writer.write(_record(name, signature, inputs))
    return Written(
        num_requests=len(kept),
        num_cut=len(requests) - len(kept),
        widths_left_out=tuple(width for width in widths if width not in texts),
    )


def replay(
    file: Path, model: SavedModel, *, tell: Callable[[int], None] = lambda done: None
) -> int:
    """Asks the model all that is in a warm-up file, as a server does; how many requests. `tell`
    hears of each that is done: one that compiles may take seconds.
    """
    number = 0
    for record in read(file):
        request = record.predict_log.request
        signature = model.model.signatures[request.model_spec.signature_name]
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        signature(**{name: tf.constant(value) for name, value in inputs.items()})
        number += 1
        tell(number)
    return number


def read(file: Path) -> Iterator[Any]:
    """The `PredictionLog`s of a warm-up file."""
    for record in tf.data.TFRecordDataset(str(file)):
        yield prediction_log_pb2.PredictionLog.FromString(record.numpy())


def of_widths(
    model: SavedModel, rows: Sequence[tuple[str, ...]], widths: Sequence[int]
) -> dict[int, tuple[str, ...]]:
    """For each width a row of as many tokens, or of the most that stay below and fill more than the
    width before: made of the words of `rows`, or of the shortest of them, again and again. A width
    that even those do not fall into is left out."""
    words = " ".join(row[0] for row in rows).split() or ["a"]
    words = (words * (max(widths) // len(words) + 1))[: max(widths)]
    rest = rows[0][1:] and ("",)
    shortest = min(words, key=len)
    found: dict[int, tuple[str, ...]] = {}
    for source in (words, [shortest] * max(widths)):
        candidates = [(" ".join(source[:count]), *rest) for count in range(len(source) + 1)]
        # One by one: in a batch all would be as wide as the longest.
        lengths = [model.token_ids([[column] for column in row]).shape[1] for row in candidates]
        for before, width in itertools.pairwise((0, *widths)):
            fits = [i for i, length in enumerate(lengths) if before < length <= width]
            if fits and width not in found:
                found[width] = candidates[fits[-1]]
        if len(found) == len(widths):
            break
    return dict(sorted(found.items()))


def _strings(row: tuple[str, ...], size: int) -> Inputs:
    names = (TEXT, TEXT_PAIR)[: len(row)]
    return {n: tf.constant([column] * size) for n, column in zip(names, row, strict=True)}


def _tokens(ids: list[int], size: int, has_text_pair: bool) -> Inputs:
    inputs = {
        TOKEN_IDS: tf.constant([ids] * size, tf.int32),
        PADDING_MASK: tf.ones((size, len(ids)), tf.int32),
    }
    if has_text_pair:
        inputs[SEGMENT_IDS] = tf.zeros((size, len(ids)), tf.int32)
    return inputs


def _examples(ids: list[int], size: int, has_text_pair: bool) -> Inputs:
    values = {TOKEN_IDS: ids} | ({SEGMENT_IDS: [0] * len(ids)} if has_text_pair else {})
    feature = {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=value))
        for name, value in values.items()
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return {"examples": tf.constant([example.SerializeToString(deterministic=True)] * size)}


def _record(name: str, signature: str, inputs: Inputs) -> bytes:
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for key, tensor in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(tensor.numpy()))
    content: bytes = log.SerializeToString(deterministic=True)
    return content
