"""Plans: each stage's inputs come from the one earlier stage that makes their type."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from tpuline.pipeline import plan, stages


@dataclass(frozen=True)
class Cloth:
    """Made by one stage and worn by the next."""


@dataclass(frozen=True)
class Coat:
    """Made of cloth."""


@dataclass(frozen=True)
class NeedsNothing:
    """Inputs of a first stage."""


@dataclass(frozen=True)
class NeedsCloth:
    """Inputs of a stage that sews."""

    cloth: Cloth


def stage(name: str, inputs: type, output: type) -> stages.Stage:
    """A stage that only has types."""
    module: Any = ModuleType(name)
    module.VERSION, module.Inputs, module.Output = 1, inputs, output
    return stages.Stage(name=name, module=module)


WEAVE, SEW = stage("weave", NeedsNothing, Cloth), stage("sew", NeedsCloth, Coat)


def test_input_is_wired_to_the_stage_that_makes_its_type() -> None:
    assert plan.wire(SEW, [WEAVE]) == {"cloth": "weave"}


def test_input_that_nobody_makes_is_refused() -> None:
    with pytest.raises(TypeError, match=r"sew\.Inputs\.cloth.*Cloth; found none"):
        plan.wire(SEW, [])


def test_input_that_two_make_is_refused() -> None:
    knit = stage("knit", NeedsNothing, Cloth)
    with pytest.raises(TypeError, match=r"found \['weave', 'knit'\]"):
        plan.wire(SEW, [WEAVE, knit])


def test_table_of_stages_fits_together() -> None:
    earlier: list[stages.Stage] = []
    for each in stages.table():
        plan.wire(each, earlier)
        earlier.append(each)
    assert [each.name for each in earlier] == ["preprocess", "train", "export", "evaluate"]
