"""FLOPs of the model against the peak of the chips."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.pipeline import run_facts
from tpuline.pipeline.hardware import chips
from tpuline.pipeline.hardware.utilisation import seconds_at_peak, utilisation

WIDTHS = {32: (128, 2e12), 64: (64, 3e12)}  # width: rows of a global batch, FLOPs of a replica


def preflight(chip: str = "v5e-8") -> dict[str, Any]:
    return {
        "chip": chip,
        "num_parameters": 1000,
        "precision": "mixed_bfloat16",
        "num_replicas": 8,
        "widths": [
            {"width": width, "global_batch_size": rows, "compiled": {"product_flops": flops}}
            for width, (rows, flops) in WIDTHS.items()
        ],
    }


def trained(**changes: Any) -> Any:
    model = run_facts.finished().model
    assert model is not None
    timed = {"accelerator": "v5e-8", "timed_steps": (30, 10), "timed_seconds": 2.0}
    timed |= {"num_parameters": 1000, "precision": "mixed_bfloat16"}
    shapes = {"batch_widths": (32, 64), "batch_rows": (128, 64)}
    return replace(model, **timed | shapes | changes)


def test_share_is_flops_of_all_replicas_over_time_and_peak() -> None:
    found = utilisation(trained(), [preflight("v6e-8"), preflight()])
    assert found is not None and found.chip == "v5e-8"
    flops = 8 * (30 * 2e12 + 10 * 3e12)
    peak = 8 * chips.parse("v5e-8").chip.peak_flops_per_s
    assert found.share == pytest.approx(flops / (2.0 * peak))


@pytest.mark.parametrize(
    "changes",
    [
        {"accelerator": ""},
        {"accelerator": "v6e-8"},
        {"timed_seconds": 0.0},
        {"batch_rows": (64, 64)},
        {"num_parameters": 999},
        {"precision": "float32"},
    ],
)
def test_nothing_is_said_without_a_preflight_of_this_chip_model_and_batches(
    changes: dict[str, Any],
) -> None:
    assert utilisation(trained(**changes), [preflight()]) is None
    assert utilisation(trained(), []) is None


def test_seconds_at_peak_are_of_a_global_batch_on_all_chips() -> None:
    found = seconds_at_peak(
        [preflight("v6e-8"), preflight()],
        accelerator="v5e-8",
        num_parameters=1000,
        precision="mixed_bfloat16",
        rows_by_width={32: 128, 64: 64},
    )
    peak = chips.parse("v5e-8").chip.peak_flops_per_s  # of each of 8 chips and replicas
    assert found == {32: pytest.approx(2e12 / peak), 64: pytest.approx(3e12 / peak)}
