"""Real Triton, started once for the tests of a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components.evaluate.conftest import Recorder
from tpuline.components.contracts import Servable
from tpuline.components.serving.servers import triton
from tpuline.components.serving.servers.starting import Servers

MODEL = "words"


@pytest.fixture(scope="module")
def folder(word_model: Servable) -> Path:
    return Path(word_model.uri) / word_model.saved_model_dir


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """The environment is made when it is not there, or is the one that the variable names."""
    kind = triton.kind(os.environ, Recorder(), max_batch_size=16, max_delay_us=0)
    with Servers({"triton": kind}) as started:
        yield started
