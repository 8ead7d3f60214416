"""ShardSet, TrainedModel -> Servable: a SavedModel with three signatures and a parity proof."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compiling import check_compiles
from ..contracts import Format, Servable, ShardSet, TrainedModel
from ..restoring import restored
from ..serving.found import one_line
from ..stage import Context
from ..vocabulary import file_fingerprint, load_vocabulary
from .threshold import Rule

if TYPE_CHECKING:
    from .head import Head

VERSION = 7
EACH_VARIANT = True

MIN_PARITY_TEXTS = 256
MAX_PARITY_TOLERANCE = 1e-3

LOWER_TOLERANCES = {
    "bfloat16": 3e-2,
    "float16": 4e-3,
    "int8": 5e-2,
    "int4": 2e-2,
    "xla": 1e-4,
    "onnx": 1e-4,
    "litert": 1e-4,
    "openvino": 1e-4,
}
"""Least tolerance where less than float32 is computed or stored, for padding and batches of another
size round otherwise, and of 8 bits a hair decides about a whole step (six blocks by 384: two of 312
texts by more than 2e-2, 2026-11); and where another compiler or runtime sums in another order."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """How the SavedModel is named and how hard it is compared with the Keras model."""

    model_name: str = "classifier"  # the folder that a model server is pointed at
    version: int = 1  # the numbered folder in it; servers offer the highest
    parity_texts: int = 256  # held-out texts to compare on, the fixed messy ones not counted
    parity_tolerance: float = 1e-5  # largest allowed difference of a probability, in float32
    calibrate: bool = False  # one temperature, fitted on validation, so that certainty is true
    # Of two labels, or of each of multi-label data; null: the label of the largest probability, or
    # those from one half on
    threshold: Rule | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.model_name):
            raise ValueError(
                "model_name: must be letters, digits, '_', '-' and '.', as it names a folder; "
                f"received {self.model_name!r}; choose a name like 'classifier'"
            )
        if self.version < 1:
            raise ValueError(
                f"version: must be at least 1; received {self.version}; "
                "number the versions 1, 2, 3, ..."
            )
        if self.parity_texts < MIN_PARITY_TEXTS:
            raise ValueError(
                f"parity_texts: must be at least {MIN_PARITY_TEXTS}; received {self.parity_texts}; "
                f"leave it out to get {MIN_PARITY_TEXTS}"
            )
        if not 0 < self.parity_tolerance <= MAX_PARITY_TOLERANCE:
            raise ValueError(
                f"parity_tolerance: must be above 0 and at most {MAX_PARITY_TOLERANCE}; received "
                f"{self.parity_tolerance}; leave it out to get 1e-5"
            )


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The tokenised data set, and the model trained on it."""

    shards: ShardSet
    model: TrainedModel


Output = Servable


def run(config: Config, inputs: Inputs, ctx: Context) -> Servable:
    """Rebuilds the model, saves it with its tokenizer and labels, compares the two.

    A failed comparison does not raise: it stands in `Servable.parity`, for a gate to refuse.

    Raises:
        ValueError: the shards are those of a language model, or temperature or threshold cannot
            be fitted on them.
    """
    from . import head, parity

    shards = inputs.shards
    if shards.task == "language_model" or shards.tokenizer == "bpe":
        raise ValueError(
            "preprocess.task: must be classification or multi_label to export a model that takes "
            f"raw strings; received {shards.task} with vocabulary type {shards.tokenizer}; "
            "preprocess anew"
        )
    saved_model_dir = f"{config.model_name}/{config.version}"
    folder = ctx.workdir / saved_model_dir
    model = restored(inputs.model, shards, ctx.hardware)
    found = head.fitted(
        model, shards, calibrate=config.calibrate, rule=config.threshold, log=ctx.log
    )
    ctx.log.progress("export", 0, 2, "saving")
    _save(model, shards, folder, inputs.model.serve_as, found)
    ctx.log.progress("export", 1, 2, "comparing")
    result = parity.check(
        folder,
        model,
        shards,
        head=found,
        num_texts=config.parity_texts,
        tolerance=_tolerance(config, inputs.model),
        log=ctx.log,
    )
    ctx.log.progress("export", 2, 2)
    return Servable(
        uri=str(ctx.workdir),
        saved_model_dir=saved_model_dir,
        format=inputs.model.serve_as,
        version=config.version,
        size_bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        label_names=shards.label_names,
        label_separator=shards.label_separator,
        has_text_pair=shards.has_text_pair,
        sequence_length=shards.sequence_length,
        tokenizer_fingerprint=file_fingerprint(
            shards.tokenizer,
            Path(shards.uri) / shards.vocabulary_file,
            lowercase=shards.lowercase,
            has_text_pair=shards.has_text_pair,
        ),
        parity=result,
        temperature=found.temperature,
        thresholds=found.thresholds if isinstance(found, head.SeveralHead) else (),
        threshold=found.threshold,
    )


def _tolerance(config: Config, trained: TrainedModel) -> float:
    kinds = (trained.dtype, trained.quantization, trained.serve_as)
    least = [LOWER_TOLERANCES[kind] for kind in kinds if kind in LOWER_TOLERANCES]
    return max(config.parity_tolerance, *least) if least else config.parity_tolerance


def _save(model: Any, shards: ShardSet, folder: Path, format: Format, head: Head) -> None:
    from ..serving.shapes import shapes
    from ..tokenizers import load
    from . import formats
    from .signatures import ServedClassifier

    if format == "xla":
        check_compiles(
            "serve_as xla", "leave the variant out, or export it where that is installed"
        )
    vocabulary_file = Path(shards.uri) / shards.vocabulary_file
    tokenizer = load(
        shards.tokenizer,
        vocabulary_file,
        lowercase=shards.lowercase,
        sequence_length=shards.sequence_length,
        has_text_pair=shards.has_text_pair,
    )
    with tempfile.TemporaryDirectory() as scratch:
        labels = Path(scratch) / "labels.txt"
        lines = [one_line(name) for name in shards.label_names]
        labels.write_text("\n".join(lines) + "\n", encoding="utf-8")
        if format not in ("saved_model", "xla"):
            formats.write(
                folder,
                model,
                tokenizer,
                head=head,
                format=format,
                labels_file=labels,
                has_text_pair=shards.has_text_pair,
                plain=_plain(shards),
            )
            return
        served = ServedClassifier(
            model,
            tokenizer,
            label_names=shards.label_names,
            has_text_pair=shards.has_text_pair,
            sequence_length=shards.sequence_length,
            vocabulary_size=shards.vocabulary_size,
            head=head,
            shapes=shapes(shards.sequence_length) if format == "xla" else None,
        )
        served.save(folder, vocabulary_file=vocabulary_file, labels_file=labels)


def _plain(shards: ShardSet) -> str | None:
    """How plain texts are tokenised without the graph: of WordPiece, and rows of one text."""
    from ..serving import plain_texts

    if shards.tokenizer != "wordpiece" or shards.has_text_pair:
        return None
    return plain_texts.description(
        load_vocabulary(Path(shards.uri) / shards.vocabulary_file),
        lowercase=shards.lowercase,
        sequence_length=shards.sequence_length,
    )
