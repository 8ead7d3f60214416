"""Real SavedModels that answer by one word, and rows to ask them."""

from __future__ import annotations

from tests.components.evaluate.conftest import (  # noqa: F401
    context,
    corpus,
    deaf_model,
    export_word_model,
    log,
    word_model,
)
