"""Real SavedModels that answer by one word, and what else these tests share."""

from __future__ import annotations

from tests.components.evaluate.conftest import (  # noqa: F401
    context,
    corpus,
    export_word_model,
    log,
    word_model,
)
