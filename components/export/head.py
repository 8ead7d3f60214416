"""Logits -> what is answered: temperature, softmax, and the label, by a threshold where one is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ..batches import parse_examples
from ..contracts import ShardSet, Threshold
from ..stage import Log
from . import calibration, threshold

BATCH_ROWS = 64


@dataclass(frozen=True, kw_only=True)
class Head:
    """The same for every format, and for the Keras model that they are compared with."""

    temperature: float = 1.0
    threshold: Threshold | None = None

    def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        """`(B, C)`, of logits `(B, C)`."""
        return tf.nn.softmax(logits if self.temperature == 1.0 else logits / self.temperature)

    def label_ids(self, probabilities: tf.Tensor, label_names: Sequence[str]) -> tf.Tensor:
        """int32 `(B,)`: of the largest probability, or as the threshold says."""
        if self.threshold is None:
            return tf.argmax(probabilities, axis=-1, output_type=tf.int32)
        label = label_names.index(self.threshold.label)
        reached = probabilities[:, label] >= self.threshold.probability
        return tf.where(reached, label, 1 - label)


def fitted(
    model: Any, shards: ShardSet, *, calibrate: bool, rule: threshold.Rule | None, log: Log
) -> Head:
    """What the validation rows say; the Keras model answers them.

    Raises:
        ValueError: there are no such rows, or they give no threshold that fits `rule`.
    """
    if not calibrate and rule is None:
        return Head()
    key = "calibrate" if calibrate else "threshold"
    if not shards.split("validation").num_examples:
        raise ValueError(
            f"export.{key}: needs validation rows to be fitted on; received a validation split "
            "without any; give it a source of its own, or raise preprocess.cut.validation"
        )
    if rule is not None:
        _check_labels(rule, shards.label_names)
    logits_NC, labels_N = validation_logits(model, shards, log)
    temperature = _temperature(logits_NC, labels_N, log) if calibrate else 1.0
    if rule is None:
        return Head(temperature=temperature)
    label = shards.label_names.index(rule.label)
    scores_N = Head(temperature=temperature).probabilities(logits_NC).numpy()[:, label]
    chosen = threshold.choose(rule, scores_N, labels_N == label)
    log.info(
        f"{rule.label!r} is answered from a probability of {chosen.probability:.3f} on: precision "
        f"{chosen.precision:.3f}, recall {chosen.recall:.3f} on {chosen.num_rows:,} validation rows"
    )
    return Head(temperature=temperature, threshold=chosen)


def _check_labels(rule: threshold.Rule, label_names: tuple[str, ...]) -> None:
    if len(label_names) != 2:
        raise ValueError(
            f"export.threshold: needs two labels, of which one is answered from a probability on; "
            f"received {len(label_names)} labels; set it to null"
        )
    if rule.label not in label_names:
        raise ValueError(
            f"export.threshold.label: must be one of {', '.join(label_names)}; received "
            f"{rule.label!r}; name one of them"
        )


def _temperature(logits_NC: np.ndarray, labels_N: np.ndarray, log: Log) -> float:
    temperature = calibration.fit_temperature(logits_NC, labels_N)
    before = calibration.cross_entropy(logits_NC, labels_N, 1.0)
    after = calibration.cross_entropy(logits_NC, labels_N, temperature)
    log.info(
        f"temperature {temperature:.3f}: cross entropy {before:.4f} -> {after:.4f} on "
        f"{len(labels_N):,} validation rows",
        temperature=temperature,
    )
    if not calibration.is_inside(temperature):
        low, high = calibration.LIMITS
        log.warning(
            f"calibration ended at its limit, temperature {temperature:.3g} (from {low:g} to "
            f"{high:g}): the logits say little about how sure the model may be"
        )
    return temperature


def validation_logits(model: Any, shards: ShardSet, log: Log) -> tuple[np.ndarray, np.ndarray]:
    """Logits float32 `(N, C)` of the Keras model and label ids int32 `(N,)`, in shard order."""
    split = shards.split("validation")
    predict: Callable[[Any], Any] = tf.function(
        lambda features: model(features, training=False), reduce_retracing=True
    )
    files = [f"{shards.uri}/{shard.records_file}" for shard in split.shards]
    batches = tf.data.TFRecordDataset(files).batch(BATCH_ROWS)
    logits, labels = [], []
    done = 0
    for records in batches:
        features, ids = parse_examples(
            records, has_text_pair=shards.has_text_pair, length=shards.sequence_length
        )
        logits.append(predict(features).numpy().astype(np.float32))
        labels.append(ids.numpy())
        done += len(ids)
        log.progress("validation answers", done, split.num_examples)
    return np.concatenate(logits), np.concatenate(labels)
