"""A bundle of a real exported model."""

from __future__ import annotations

import pytest

from tests.components.handoff.handing import Made, make
from tpuline.components.contracts import Handoff
from tpuline.components.handoff.config import Card, Config, Slo


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="package")
def handed_over(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Handoff:
    config = Config(
        samples=20,
        max_batch_size=4,
        slo=Slo(max_p99_ms=10_000.0),
        card=Card(intended_use="Sorting <b>films</b>."),
    )
    return made.hand_over(tmp_path_factory.mktemp("work") / "handoff", config)
