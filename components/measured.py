"""What the report of a model is made of: parts of the records of `contracts`. Light."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class ClassMetrics:
    """Metrics of one label."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    average_precision: float | None = None  # of multi-label data; None: no row has the label


@dataclass(frozen=True, kw_only=True)
class SeveralLabels:
    """What else is told of a model that gives a row none, one or several labels."""

    micro_f1: Interval
    label_accuracy: float  # share of labels rightly on or off, over all rows: 1 - Hamming loss
    average_precision: float  # mean over the labels that occur
    linear_micro_f1: float  # of the linear reference
    labels_a_row: float
    answered_a_row: float


@dataclass(frozen=True, kw_only=True)
class ShownRow:
    """One answer with its text; `score` is the probability that the model gave to it."""

    text: str
    label: str
    predicted: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Accuracy on a part of the rows."""

    column: str  # what the rows are parted by: characters, label, a kept column, language
    value: str
    num_rows: int
    accuracy: Interval


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """Accuracy on rows that were changed in a way that should not matter."""

    kind: str  # of `evaluate.perturbations`
    num_rows: int
    accuracy: float
    drop: float  # from the accuracy on the same rows as they were
    flipped: float  # share of the rows that get another answer


@dataclass(frozen=True, kw_only=True)
class Incumbent:
    """A model that serves already, asked for the same rows."""

    digest: str  # sha256 over its files
    accuracy: Interval
    macro_f1: Interval
    gained: int  # rows that the new model alone has right
    lost: int  # rows that the incumbent alone has right
    difference: Interval  # of the accuracies, new minus incumbent, paired by row
    p_value: float  # McNemar's, exact
    unknown_labels: tuple[str, ...]  # of the data, which it never answers
    micro_f1: Interval | None = None  # of multi-label data
    micro_f1_difference: Interval | None = None  # new minus incumbent, paired by row


@dataclass(frozen=True, kw_only=True)
class LatencyProfile:
    """Serving latency of raw-string requests of one batch size, after warm-up."""

    batch_size: int
    num_requests: int
    num_warmed: int = 0  # different requests, each made before it was timed
    p50_ms: float
    p90_ms: float
    p99_ms: float
    texts_per_s: float
    tokenizer_p50_ms: float | None = None  # of the token ids of the same requests alone
    samples_ms: tuple[float, ...]  # every request, in the order it was made


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """One condition that a model must meet."""

    name: str  # the YAML key
    passed: bool
    message: str  # what was required and what was received


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether the model may be handed over, and why."""

    blessed: bool
    reasons: tuple[str, ...]  # one sentence a gate, failures first


@dataclass(frozen=True, kw_only=True)
class ReferenceAccuracy:
    """On all rows of one split."""

    split: str
    majority: float  # of always answering the label, or set of labels, most frequent in train
    linear: float  # of a linear model on words and pairs of words
    linear_micro_f1: float | None = None  # of multi-label data
