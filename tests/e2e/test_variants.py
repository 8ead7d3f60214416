"""A config with variants: each is exported and judged, one is handed over."""

from __future__ import annotations

import pytest

from tpuline.components.serving import bundle
from tpuline.pipeline import api

from .conftest import Shrunk

pytestmark = pytest.mark.long


def test_variants_are_judged_side_by_side_and_the_chosen_one_is_handed_over(
    finished: Shrunk,
) -> None:
    done = finished.run(
        "name=variants",
        "optimize.variants={int8: {type: quantize}}",
        "choose.rule={prefer: size, max_accuracy_drop: 0.5}",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    facts = api.read_report(finished.root / "variants")
    base, int8 = facts["choice"]["variants"]
    assert (base["name"], int8["name"]) == ("base", "int8")
    assert int8["size_bytes"] < 0.9 * base["size_bytes"]
    assert facts["choice"]["chosen"] == facts["handoff"]["variant"] == "int8"
    assert facts["export"]["size_bytes"] == int8["size_bytes"]
    opened = bundle.read(finished.root / "variants" / "handoff")
    assert opened.variant == "int8"
    assert "int8" in (finished.root / "variants" / "report.html").read_text()
    reused = {stage["name"] for stage in facts["stages"] if stage["reused"]}
    assert {"preprocess", "train", "reference", "export", "evaluate"} <= reused
    assert "chosen" in done.stdout and "Blessed: int8" in done.stdout
