"""Real Triton with what a run hands over, and before MLPerf's LoadGen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import pytest

from tests.components.evaluate.conftest import Recorder
from tests.components.handoff.conftest import handed_over, made  # noqa: F401
from tests.components.handoff.handing import folder_of
from tpuline.components.contracts import Handoff, Scenario, Servable
from tpuline.components.serving import acceptance
from tpuline.components.serving.agreement import Rule
from tpuline.components.serving.driving.kept import Kept
from tpuline.components.serving.driving.process import Served, measure
from tpuline.components.serving.driving.settings import Settings
from tpuline.components.serving.servers import triton
from tpuline.components.serving.servers.starting import Servers
from tpuline.components.serving.targets import parse

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TARGETS = ("in_process", "triton+http", "triton+grpc")


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_bundle_that_was_handed_over_is_accepted_as_triton_serves_it(
    handed_over: Handoff,  # noqa: F811
    transport: str,
) -> None:
    found = acceptance.accept(folder_of(handed_over), server=f"triton+{transport}")
    assert found.accepted, list(found.lines())
    assert found.target == f"triton+{transport}"
    assert {"load", "samples", "accuracy"} <= {check.name for check in found.checks}


def test_loadgen_asks_triton_in_every_scenario_and_every_text_is_answered_as_in_process(
    word_model: Servable, tmp_path: Path
) -> None:
    log = Recorder()
    rows = [(f"a {word} film {number}",) for number in range(20) for word in ("good", "bad")]
    served = Served(
        folder=Path(word_model.uri) / word_model.saved_model_dir,
        model="words",
        version=1,
        rows=rows,
        labels=["positive", "negative"] * 20,
        rule=Rule(tolerance=1e-6),
    )
    settings = Settings(
        scenarios=get_args(Scenario),
        min_duration_s=1.0,
        max_duration_s=120.0,
        min_queries=700,  # a p99 needs 662
        repeats=2,
        rate_precision=0.5,
        server_budget_s=30.0,
        p99_ms=500.0,
        max_in_flight=4,
        batch_size=8,
    )
    kind = triton.kind(os.environ, log, max_batch_size=16, max_delay_us=0)
    with Servers({"triton": kind}) as servers:
        found = measure(
            served,
            [parse(target) for target in TARGETS],
            settings,
            servers=servers,
            kept=Kept(str(tmp_path / "kept"), of="this", log=log),
            seed=7,
            log=log,
        )
    assert [(one.target, one.scenario, one.repeat) for one in found.results] == [
        (target, scenario, repeat)
        for target in TARGETS
        for scenario in settings.scenarios
        for repeat in (1, 2)
    ]
    for result in found.results:
        assert result.valid, result
        assert (result.num_failed, result.num_changed, result.accuracy) == (0, 0, 1.0), result
        assert result.num_queries > 0 and result.texts_per_s > 0
        assert result.peak_memory_bytes and result.peak_memory_bytes > 50e6
    assert [(check.target, check.first_difference) for check in found.wire] == [
        (target, "") for target in TARGETS[1:]
    ]
