"""The section `preprocess.vocabulary`: which tokenizer, learnt or loaded."""

from __future__ import annotations

from dataclasses import dataclass

from ...vocabulary import TokenizerType

FILE_NAMES: dict[TokenizerType, str] = {
    "wordpiece": "vocabulary.txt",
    "sentencepiece": "sentencepiece.model",
    "bpe": "tokenizer.json",
}
"""What `ShardSet.vocabulary_file` is called."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Learnt from the train split (1,000 bytes of text for each token), or a preset's."""

    type: TokenizerType = "wordpiece"  # bpe: of bytes, for task language_model only
    size: int = 8000  # at most; 10 to 30 thousand for large data
    min_frequency: int = 2  # rarer words, characters, pieces do not count; not for sentencepiece
    lowercase: bool = True  # with wordpiece accents go too, as in BERT uncased
    preset: str | None = None  # a folder, or a KerasHub name; size and frequency are then unused

    def __post_init__(self) -> None:
        if self.type not in FILE_NAMES:
            raise ValueError(
                f"type: must be one of {', '.join(FILE_NAMES)}; received {self.type!r}; "
                "leave it out to get wordpiece"
            )
        if not 100 < self.size <= 1_000_000:
            raise ValueError(
                f"size: must be above 100 and at most 1000000; received {self.size}; 8000 is "
                "enough for most classifiers"
            )
        if self.type == "bpe" and self.size < 512:
            raise ValueError(
                "size: must be at least 512 with type bpe, which gives each of the 256 bytes an "
                f"id of its own; received {self.size}; 8000 is enough for most data"
            )
        if self.min_frequency < 1:
            raise ValueError(
                f"min_frequency: must be at least 1; received {self.min_frequency}; 2 leaves out "
                "what was seen only once"
            )


def check_task(vocabulary: Vocabulary, task: str) -> None:
    """`ValueError` for byte pairs in a classifier: no TensorFlow op makes them."""
    if vocabulary.type == "bpe" and task != "language_model":
        raise ValueError(
            f"vocabulary.type: must be wordpiece or sentencepiece for task {task}, whose "
            "SavedModel tokenises by itself; received 'bpe', which no TensorFlow op does; choose "
            "sentencepiece, or task: language_model"
        )
