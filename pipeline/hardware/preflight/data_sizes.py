"""RunConfig -> the sizes that a train step takes from its data, before there is any data. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....components.contracts import ShardSet, Split
from .presets import PRESETS

if TYPE_CHECKING:
    from ...config import RunConfig

_ROWS_A_LENGTH = 1_000


def stand_in(config: RunConfig) -> ShardSet:
    """Shards as `preprocess` would make them, as far as the config tells; no file stands behind it.

    As many rows of every length, so that each bucket is used. The vocabulary is as large as it may
    become.

    Raises:
        ValueError: the config does not tell how many labels there are, or the preset's vocabulary.
    """
    preprocess = config.sections["preprocess"]
    source = preprocess.source
    if preprocess.task == "language_model":
        raise ValueError(
            "preprocess.task: must be classification or multi_label, the tasks that can be trained "
            f"so far; received {preprocess.task!r}; there is no train step to compile"
        )
    if source.label_names is None:
        raise ValueError(
            "preprocess.source.label_names: must be given for a preflight without data, for they "
            "size the last layer; received null; list them, or first make the data: tpuline run "
            "CONFIG --until preprocess"
        )
    length = preprocess.sequence_length
    counts = (0, 0, 0, *([_ROWS_A_LENGTH] * (length - 2)))
    return ShardSet(
        uri="",
        task=preprocess.task,
        label_separator=source.label_separator,
        splits=tuple(_split(name, counts) for name in ("train", "validation", "test")),
        label_names=tuple(source.label_names),
        has_text_pair=source.text_pair_column is not None,
        sequence_length=length,
        tokenizer=preprocess.vocabulary.type,
        vocabulary_file="",
        vocabulary_size=_vocabulary_size(preprocess.vocabulary),
        lowercase=preprocess.vocabulary.lowercase,
        tokenizer_fingerprint="",
        rejects_file="",
        num_rejected=0,
        rejected_by_reason=(),
    )


def _split(name: str, counts: tuple[int, ...]) -> Split:
    return Split(
        name=name,
        num_examples=sum(counts),
        num_documents=sum(counts),
        num_tokens=sum(n * count for n, count in enumerate(counts)),
        num_truncated=0,
        label_counts=(),
        length_counts=counts,
        shards=(),
    )


def _vocabulary_size(vocabulary: Any) -> int:
    if vocabulary.preset is None:
        return vocabulary.size
    if vocabulary.preset in PRESETS:
        return PRESETS[vocabulary.preset].vocabulary_size
    if vocabulary.type == "wordpiece" and Path(vocabulary.preset).expanduser().is_dir():
        from ....components.preprocess.vocabulary import preset

        return len(preset.load(vocabulary.preset, lowercase=vocabulary.lowercase))
    raise ValueError(
        "preprocess.vocabulary.preset: must be a folder or one of "
        f"{', '.join(PRESETS)} for a preflight without data; received {vocabulary.preset!r}; first "
        "make the data: tpuline run CONFIG --until preprocess"
    )
