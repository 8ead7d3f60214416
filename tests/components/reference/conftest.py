"""The labelled corpus that judging is tested on."""

from __future__ import annotations

from tests.components.evaluate.conftest import (  # noqa: F401  fixtures among them
    Recorder,
    Row,
    context,
    corpus,
    log,
    write_shards,
)
