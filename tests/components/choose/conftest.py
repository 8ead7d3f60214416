"""Real SavedModels that answer by one word, and rows to ask them."""

from __future__ import annotations

from tests.components.evaluate.conftest import corpus, export_word_model  # noqa: F401
