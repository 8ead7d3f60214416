"""The section `preprocess.vocabulary`."""

from typing import Any

import pytest

from tpuline.components.preprocess.vocabulary.config import Vocabulary, check_task


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"type": "words"}, r"type: must be one of wordpiece, sentencepiece, bpe; .*'words'"),
        ({"size": 100}, r"size: must be above 100"),
        ({"type": "bpe", "size": 300}, r"size: must be at least 512 with type bpe, .*bytes"),
        ({"min_frequency": 0}, r"min_frequency: must be at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Vocabulary(**fields)


def test_byte_pairs_are_for_language_models_only() -> None:
    check_task(Vocabulary(type="bpe"), "language_model")
    check_task(Vocabulary(type="sentencepiece"), "classification")
    with pytest.raises(ValueError, match=r"vocabulary\.type: .* task classification, .*'bpe'"):
        check_task(Vocabulary(type="bpe"), "classification")
