"""Typed artifacts: what one stage leaves for the next. Standard library only.

All are frozen. `uri` is the folder of the artifact, every `*_file` and `*_dir` is relative to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .load_records import LoadReport as LoadReport
from .load_records import LoadResult as LoadResult
from .load_records import Scenario as Scenario
from .load_records import ThreadTiming as ThreadTiming
from .load_records import WireCheck as WireCheck
from .measured import (
    ClassMetrics,
    GateResult,
    Incumbent,
    Interval,
    LatencyProfile,
    ReferenceAccuracy,
    Robustness,
    SeveralLabels,
    ShownRow,
    Slice,
    Verdict,
)
from .modeling import ModelSpec


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One TFRecord file and the raw texts of the same rows in the same order."""

    records_file: str
    texts_file: str  # Parquet: id, text, text_pair (when the data has pairs), label, kept
    num_examples: int
    size_bytes: int
    sha256: str  # of records_file
    length_counts: tuple[int, ...] = ()  # as of Split; () in shards of older releases


@dataclass(frozen=True, kw_only=True)
class Split:
    """The rows of one split, as tokenised examples and as raw texts.

    For a language model an example is a window of packed documents, and there are no labels.
    """

    name: str
    num_examples: int
    num_documents: int  # raw texts; for classification as many as examples
    num_tokens: int
    num_truncated: int  # rows whose text was longer than the sequence length
    label_counts: tuple[int, ...]  # by label id
    length_counts: tuple[int, ...]  # [n] = rows of n tokens; size sequence_length + 1
    shards: tuple[Shard, ...]
    num_unlabelled: int = 0  # rows without any label, of multi-label data


@dataclass(frozen=True, kw_only=True)
class ReasonCount:
    """How many rows were set aside for one reason, or how often something was redacted."""

    reason: str
    count: int


@dataclass(frozen=True, kw_only=True)
class ShardSet:
    """Tokenised, sharded splits with everything needed to read them and to tokenise alike."""

    uri: str
    task: Literal["classification", "multi_label", "language_model"] = "classification"
    splits: tuple[Split, ...]  # train, validation, test
    label_names: tuple[str, ...]  # by label id
    label_separator: str | None = None  # between the labels of a row; None: a row has one
    has_text_pair: bool
    sequence_length: int  # most tokens a row can have, [CLS] and [SEP] included
    tokenizer: Literal["wordpiece", "sentencepiece", "bpe"] = "wordpiece"
    vocabulary_file: str  # WordPiece: a token a line, line number = id; .model; tokenizer.json
    vocabulary_size: int
    lowercase: bool
    tokenizer_fingerprint: str
    rejects_file: str  # JSON lines: file, row, reason, detail; every row that is in no shard
    num_rejected: int
    rejected_by_reason: tuple[ReasonCount, ...]
    redacted: tuple[ReasonCount, ...] = ()  # by kind
    statistics_file: str = ""  # JSON: what the splits hold, and what was found wrong with them
    schema_file: str = ""  # YAML: what later data must look like
    kept_columns: tuple[str, ...] = ()  # of the source, in the texts files as `example_spec` says

    @property
    def multi_label(self) -> bool:
        """Whether a row has none, one or several labels."""
        return self.task == "multi_label"

    @property
    def label_width(self) -> int | None:
        """Values of a stored label, a 1 or 0 for each; None: it is one id."""
        return len(self.label_names) if self.multi_label else None

    def answer(self, label: int | Sequence[int]) -> str:
        """What a model that is right answers, of a label as `texts.Window` has it."""
        if isinstance(label, int):
            return self.label_names[label]
        assert self.label_separator is not None
        return self.label_separator.join(self.label_names[one] for one in label)

    def split(self, name: str) -> Split:
        """The split called `name`; `KeyError` names the known ones."""
        for split in self.splits:
            if split.name == name:
                return split
        raise KeyError(f"no split {name!r}; known: {[split.name for split in self.splits]}")


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """What an epoch left behind. Means are per example; multi-label accuracy is over its labels."""

    epoch: int  # counted from 1
    step: int  # optimizer steps done at its end
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    micro_f1: float | None = None  # of multi-label data, at probabilities of one half
    val_micro_f1: float | None = None


@dataclass(frozen=True, kw_only=True)
class InputVerdict:
    """Whether training waited for its input: the same steps were run on a batch at hand."""

    bound: Literal["input", "step"]  # what sets the pace
    wait_share: float  # of the time of the training steps
    examples_per_s_without_input: float
    slowest: Literal["read", "parse", "feed"] | None = (
        None  # of the input, where that is what bound
    )
    read_examples_per_s: float | None = None  # of the shards, nothing else done with them
    parsed_examples_per_s: float | None = None  # read, shuffled, parsed and put into batches


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """A window of batches that broke the loss and was left out."""

    epoch: int  # counted from 1
    first_batch: int  # of the epoch, counted from 0
    num_batches: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """The best weights and what is needed to rebuild the model around them."""

    uri: str
    weights_file: str  # Keras .weights.h5
    model: ModelSpec
    strategy: str
    num_replicas: int
    precision: str  # the dtype policy it was trained with
    global_batch_size: int
    num_steps: int
    best_step: int
    best_val_loss: float
    examples_per_s: float  # training steps only, compile and validation left out
    tokens_per_s: float  # real tokens, padding not counted
    num_parameters: int
    history: tuple[EpochRecord, ...]
    padding_share: float = 0.0  # of the computed positions
    padding_share_of_one_width: float = 0.0  # were all rows padded to the longest
    batch_widths: tuple[int, ...] = ()
    batch_rows: tuple[int, ...] = ()  # of a global batch of each width
    num_resumed: int = 0  # how often an interrupted training was taken up again
    rollbacks: tuple[Rollback, ...] = ()
    input: InputVerdict | None = None  # None: too short to tell
    accelerator: str = ""  # "v5e-8"; "" where it is no TPU, or of a kind unknown
    timed_steps: tuple[float, ...] = ()  # steps of each width that the speeds are taken from
    timed_seconds: float = 0.0
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"  # of weights and computation
    quantization: Literal["int8", "int4"] | None = None  # how the weights are stored
    serve_as: Format = "saved_model"


Format = Literal["saved_model", "xla", "onnx", "litert", "openvino"]
"""What a model is served as; `xla` is a SavedModel whose part from tokens on is compiled."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far the exported signatures stray from the Keras model on the same texts."""

    passed: bool
    num_texts: int
    token_mismatches: int  # texts whose token ids differ anywhere
    max_abs_diff: float  # largest difference of a probability
    tolerance: float


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """From which probability on one of two labels is answered, and what that gave on validation."""

    label: str  # the other one is answered below
    probability: float
    precision: float  # of `label`, as are recall and F1
    recall: float
    f1: float
    num_rows: int


@dataclass(frozen=True, kw_only=True)
class Servable:
    """A SavedModel that takes raw strings, tokens, or serialised tf.Examples."""

    uri: str
    saved_model_dir: str  # <name>/<version>; of other formats: the folder of all it takes
    format: Format = "saved_model"
    version: int
    size_bytes: int
    label_names: tuple[str, ...]
    label_separator: str | None = None  # between the labels of an answer; None: it is one
    has_text_pair: bool
    sequence_length: int
    tokenizer_fingerprint: str
    parity: Parity
    temperature: float = 1.0  # that logits are divided by, fitted on validation
    thresholds: tuple[float, ...] = ()  # by label id, from which it is on; of several labels only
    threshold: Threshold | None = None  # None: the label of the largest probability is answered

    @property
    def is_saved_model(self) -> bool:
        """Whether TensorFlow answers."""
        return self.format in ("saved_model", "xla")


@dataclass(frozen=True, kw_only=True)
class References:
    """How far one gets without a neural network."""

    uri: str
    accuracies: tuple[ReferenceAccuracy, ...]  # of the splits that hold rows

    def of(self, split: str) -> ReferenceAccuracy:
        """Those on the split called so; `KeyError` names the known ones."""
        for accuracy in self.accuracies:
            if accuracy.split == split:
                return accuracy
        raise KeyError(f"no split {split!r}; known: {[one.split for one in self.accuracies]}")


@dataclass(frozen=True, kw_only=True)
class EvalReport:
    """What was measured on what was exported. A multi-label answer is right when all labels of its
    row are; then there is no confusion matrix."""

    uri: str
    split: str
    num_examples: int
    accuracy: Interval
    macro_f1: Interval
    expected_calibration_error: float
    uncalibrated_error: float | None = None  # the same with temperature 1; None: that is its own
    per_class: tuple[ClassMetrics, ...]
    confusion_matrix: tuple[tuple[int, ...], ...]  # [true][predicted]
    majority_accuracy: float
    linear_accuracy: float  # bag of n-grams on the same rows
    latency: tuple[LatencyProfile, ...]
    cold_start_s: float  # load and first answer, imports left out
    peak_memory_bytes: int
    measured_on: str = ""  # what latency, cold start and memory hold for
    mistakes: tuple[ShownRow, ...]  # wrong answers, the most confident first
    slices: tuple[Slice, ...] = ()
    robustness: tuple[Robustness, ...] = ()
    doubts: tuple[ShownRow, ...] = ()  # right answers, the least confident first
    incumbent: Incumbent | None = None
    several: SeveralLabels | None = None  # of multi-label data
    # .npz: labels int64 (N,), predicted int64 (N,), or both bool (N, C); probabilities (N, C)
    predictions_file: str
    model_digest: str = ""  # of the files that were judged, as of `serving.found.digest`


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Whether what was measured may be handed over, and why."""

    uri: str
    gates: tuple[GateResult, ...]
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class VariantResult:
    """What was measured on one variant of the model, beside the model as it was trained."""

    name: str
    format: Format = "saved_model"
    accuracy: Interval
    difference: Interval  # of the accuracy from the base's, paired by row
    p_value: float  # McNemar's, exact: how likely such a difference is where there is none
    p50_ms: float  # of the smallest batch measured
    p99_ms: float
    large_p50_ms: float  # of the largest
    large_p99_ms: float
    texts_per_s: float  # of the batch that gives most
    size_bytes: int
    usd_per_million: float | None  # texts; None without a price
    blessed: bool
    on_front: bool  # none of the blessed is better in one respect and worse in none
    remarks: tuple[str, ...]  # what a reader must not miss: slower, significantly worse
    in_turns: bool = False  # timed beside the others; else alone, when it was judged


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The variants side by side, and the one to hand over."""

    uri: str
    batch_size: int  # that latency is told of
    large_batch_size: int  # and that of the large latencies
    variants: tuple[VariantResult, ...]  # the base first
    chosen: str | None  # None: none is blessed
    reason: str


@dataclass(frozen=True, kw_only=True)
class Handoff:
    """The bundle that a serving team gets, or why there is none."""

    uri: str
    bundle_dir: str | None  # None: nothing is blessed
    reason: str
    variant: str | None
    name: str
    version: int
    fingerprint: str  # to be told apart from the bundle: `tpuline accept --fingerprint`
    size_bytes: int
    max_batch_size: int  # the measured knee
    num_warmup_requests: int  # 0: the format is not for TF Serving
