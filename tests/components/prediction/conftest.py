"""A real SavedModel that answers by one word and fails at another, and files to ask it about."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

LABELS = ("negative", "positive")


@pytest.fixture(scope="session")
def export_word_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`export_word_model(num_texts=1, word="good")`: a folder as export leaves one."""

    def export(*, num_texts: int = 1, word: str = "good", poison: str = r"\bpoison\b") -> Path:
        folder = tmp_path_factory.mktemp("model") / "1"
        _save_word_model(folder, num_texts, word, poison)
        return folder

    return export


@pytest.fixture(scope="session")
def word_model(export_word_model: Callable[..., Path]) -> Path:
    """`positive` to texts with `good` in them, surer the longer; fails where `poison` stands."""
    return export_word_model()


def _save_word_model(folder: Path, num_texts: int, word: str, poison: str) -> None:
    import tensorflow as tf

    spec = tf.TensorSpec((None,), tf.string)

    class WordModel(tf.Module):
        @tf.function(input_signature=[spec] * num_texts)
        def serve(self, text: Any, text_pair: Any = "") -> dict[str, Any]:
            text = tf.strings.join([text, text_pair], separator=" ")
            poisoned = tf.strings.regex_full_match(text, rf"(?s).*{poison}.*")
            refuse = tf.debugging.Assert(tf.logical_not(tf.reduce_any(poisoned)), ["a bad row"])
            with tf.control_dependencies([refuse]):
                is_good = tf.strings.regex_full_match(text, rf"(?s).*\b{word}\b.*")
            length = tf.cast(tf.strings.length(text), tf.float32)
            score = 0.6 + 0.39 * length / (length + 40.0)
            good = tf.where(is_good, score, 1.0 - score)
            return {
                "label": tf.where(is_good, LABELS[1], LABELS[0]),
                "score": score,
                "probabilities": tf.stack([1.0 - good, good], axis=1),
            }

    module = WordModel()
    labels = folder.parent / "labels.txt"
    labels.write_text("".join(f"{name}\n" for name in LABELS))
    module.labels = tf.saved_model.Asset(str(labels))
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    labels.unlink()


def write_jsonl(path: Path, rows: Iterable[object]) -> None:
    """One line a row: objects as JSON, bytes as they are."""
    path.write_bytes(
        b"".join(
            (row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows
        )
    )
