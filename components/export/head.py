"""Logits -> what is answered: temperature, softmax, and the label, by a threshold where one is.

Of multi-label models: a sigmoid for each label, and those that reach their thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from ..batches import parse_examples
from ..contracts import ShardSet, Threshold
from ..serving.answering import LABEL, LABELS_ON, PROBABILITIES, SCORE
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

    def outputs(self, probabilities: tf.Tensor, label_names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Of a signature: `label`, `score` and `probabilities`."""
        answered = self.label_ids(probabilities, label_names)
        return {
            LABEL: tf.gather(tf.constant(list(label_names)), answered),
            SCORE: tf.gather(probabilities, answered, batch_dims=1),
            PROBABILITIES: probabilities,
        }


@dataclass(frozen=True, kw_only=True)
class SeveralHead(Head):
    """Of a model that gives a row none, one or several labels."""

    separator: str
    thresholds: tuple[float, ...]  # by label id; each holds in float32

    def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(logits if self.temperature == 1.0 else logits / self.temperature)

    def outputs(self, probabilities: tf.Tensor, label_names: Sequence[str]) -> dict[str, tf.Tensor]:
        """`labels_on` bool `(B, C)`; `label` has the names of these, in the order of their ids with
        the separator between them; `score` is the largest probability.
        """
        on = probabilities >= tf.constant(self.thresholds, tf.float32)
        names = tf.constant(list(label_names))
        is_first = tf.cumsum(tf.cast(on, tf.int32), axis=1) == 1
        written = tf.where(is_first, names, tf.strings.join([self.separator, names]))
        return {
            LABEL: tf.strings.reduce_join(tf.where(on, written, ""), axis=1),
            LABELS_ON: on,
            SCORE: tf.reduce_max(probabilities, axis=1),
            PROBABILITIES: probabilities,
        }


DEFAULT_THRESHOLD = 0.5


def fitted(
    model: Any, shards: ShardSet, *, calibrate: bool, rule: threshold.Rule | None, log: Log
) -> Head:
    """What the validation rows say; the Keras model answers them.

    Raises:
        ValueError: there are no such rows, or they give no threshold that fits `rule`.
    """
    threshold.check_label(rule, multi_label=shards.multi_label)
    if not calibrate and rule is None:
        return _plain(shards)
    key = "calibrate" if calibrate else "threshold"
    if not shards.split("validation").num_examples:
        raise ValueError(
            f"export.{key}: needs validation rows to be fitted on; received a validation split "
            "without any; give it a source of its own, or raise preprocess.cut.validation"
        )
    if rule is not None and not shards.multi_label:
        _check_labels(rule, shards.label_names)
    logits_NC, labels_N = validation_logits(model, shards, log)
    temperature = _temperature(logits_NC, labels_N, log) if calibrate else 1.0
    head = replace(_plain(shards), temperature=temperature)
    if rule is None:
        return head
    probabilities_NC = head.probabilities(logits_NC).numpy()
    if isinstance(head, SeveralHead):
        thresholds = _of_each(rule, shards.label_names, probabilities_NC, labels_N, log)
        return replace(head, thresholds=thresholds)
    assert rule.label is not None
    label = shards.label_names.index(rule.label)
    chosen = threshold.choose(rule, probabilities_NC[:, label], labels_N == label)
    _tell(chosen, log)
    return replace(head, threshold=chosen)


def _plain(shards: ShardSet) -> Head:
    """With nothing fitted."""
    if shards.label_separator is None:
        return Head()
    defaults = (DEFAULT_THRESHOLD,) * len(shards.label_names)
    return SeveralHead(separator=shards.label_separator, thresholds=defaults)


def _of_each(
    rule: threshold.Rule,
    label_names: Sequence[str],
    probabilities_NC: np.ndarray,
    labels_NC: np.ndarray,
    log: Log,
) -> tuple[float, ...]:
    """One threshold a label; labels that no row has keep the usual one."""
    thresholds = []
    for label, name in enumerate(label_names):
        positive_N = labels_NC[:, label] == 1
        if not positive_N.any():
            log.warning(
                f"{name!r} is on from a probability of {DEFAULT_THRESHOLD} on, as no validation "
                "row has it: give validation a source of its own, or raise preprocess.cut"
            )
            thresholds.append(DEFAULT_THRESHOLD)
            continue
        of_label, scores_N = replace(rule, label=name), probabilities_NC[:, label]
        try:
            chosen = threshold.choose(of_label, scores_N, positive_N)
        except ValueError as error:  # of one label among many
            log.warning(f"{name!r} takes the threshold of its largest F1: {error}")
            chosen = threshold.choose(threshold.Rule(label=name), scores_N, positive_N)
        _tell(chosen, log)
        thresholds.append(chosen.probability)
    return tuple(thresholds)


def _tell(chosen: Threshold, log: Log) -> None:
    log.info(
        f"{chosen.label!r} is answered from a probability of {chosen.probability:.3f} on: "
        f"precision {chosen.precision:.3f}, recall {chosen.recall:.3f} on {chosen.num_rows:,} "
        "validation rows"
    )


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
    """Logits float32 `(N, C)` of the Keras model, in shard order, and label ids int32 `(N,)`, or
    `(N, C)` of 1 and 0 of multi-label data.
    """
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
            records,
            has_text_pair=shards.has_text_pair,
            length=shards.sequence_length,
            label_width=shards.label_width,
        )
        logits.append(predict(features).numpy().astype(np.float32))
        labels.append(ids.numpy())
        done += len(ids)
        log.progress("validation answers", done, split.num_examples)
    return np.concatenate(logits), np.concatenate(labels)
