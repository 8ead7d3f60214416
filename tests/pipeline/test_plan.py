"""Plans: each stage's inputs come from the one earlier stage that makes their type."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tpuline.pipeline import config, plan, stages, why

SOURCE = {"source": {"train": "sample:support"}}
INT8 = {"type": "quantize", "mode": "int8"}


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
    assert plan.wire(SEW, [(WEAVE, "base")]) == {"cloth": "weave"}


def test_input_that_nobody_makes_is_refused() -> None:
    with pytest.raises(TypeError, match=r"sew\.Inputs\.cloth.*Cloth; found none"):
        plan.wire(SEW, [])


def test_input_that_two_make_is_refused() -> None:
    knit = stage("knit", NeedsNothing, Cloth)
    with pytest.raises(TypeError, match=r"found \['weave', 'knit'\]"):
        plan.wire(SEW, [(WEAVE, "base"), (knit, "base")])


def test_table_of_stages_fits_together() -> None:
    loaded = config.parse({"preprocess": SOURCE, "optimize": {"variants": {"small": INT8}}})
    names = [plan.step_name(stage, variant) for stage, variant, _ in plan._parts(loaded)]
    assert names == [
        "preprocess",
        "train",
        "reference",
        "optimize small",
        "export",
        "export small",
        "evaluate",
        "evaluate small",
        "judge",
        "judge small",
        "choose",
        "load",
        "handoff",
    ]


def steps(**variants: Any) -> dict[str, plan.Step]:
    loaded = config.parse({"preprocess": SOURCE, "optimize": {"variants": variants}})
    return {step.name: step for step in plan.make(loaded)}


def test_each_variant_goes_its_own_way_and_meets_the_others_at_the_choice() -> None:
    made = steps(small=INT8)
    assert made["optimize small"].inputs == {"shards": "preprocess", "model": "train"}
    assert made["export small"].inputs["model"] == "optimize small"
    assert made["export"].inputs["model"] == "train"
    assert made["evaluate small"].inputs["servable"] == "export small"
    assert made["choose"].inputs == {
        "shards": "preprocess",
        "reports": {"base": "evaluate", "small": "evaluate small"},
        "judgements": {"base": "judge", "small": "judge small"},
        "servables": {"base": "export", "small": "export small"},
    }


def test_another_gate_evaluates_nothing_anew() -> None:
    loose, strict = (
        {
            step.name: step.key
            for step in plan.make(
                config.parse({"preprocess": SOURCE, "judge": {"min_accuracy": n}})
            )
        }
        for n in (0.5, 0.9)
    )
    changed = [name for name in loose if loose[name] != strict[name]]
    assert changed == ["judge", "choose", "load", "handoff"]


def test_of_equally_near_artifacts_the_latest_says_what_changed() -> None:
    def judged(bound: float) -> plan.Step:
        made = plan.make(config.parse({"preprocess": SOURCE, "judge": {"min_accuracy": bound}}))
        return next(step for step in made if step.name == "judge")

    stored = [
        SimpleNamespace(key=step.key, identity=step.identity, created=created)
        for step, created in ((judged(0.5), "2026-11-01"), (judged(0.7), "2026-11-02"))
    ]
    shelf: Any = SimpleNamespace(manifest=lambda *_: None, manifests=lambda _: iter(stored))
    reason = why.explain(judged(0.9), shelf, frozenset(), {})
    assert reason == "changed: min_accuracy: 0.7 -> 0.9"


def test_variant_of_a_variant_is_made_of_it() -> None:
    made = steps(small={"type": "shrink"}, both=INT8 | {"of": "small"}, alone=INT8)
    assert made["optimize both"].inputs == {"shards": "preprocess", "model": "optimize small"}
    assert made["optimize alone"].inputs["model"] == "train"
    assert made["optimize both"].key != made["optimize alone"].key
    assert made["export both"].inputs["model"] == "optimize both"


def test_run_without_a_variant_has_the_keys_of_a_config_without_it() -> None:
    both = steps(small=INT8, other={"type": "cast"})
    left = {step.name: step for step in plan.without(tuple(both.values()), "export small")}
    alone = steps(other={"type": "cast"})
    assert set(both) - set(left) == {"export small", "evaluate small", "judge small"}
    assert {name: left[name].key for name in alone} == {n: s.key for n, s in alone.items()}
    assert left["choose"].inputs == alone["choose"].inputs
    assert left["handoff"].inputs == alone["handoff"].inputs


def test_run_without_a_variant_is_without_what_its_artifact_was_for_and_no_more() -> None:
    made = tuple(steps(small={"type": "shrink"}, both=INT8 | {"of": "small"}).values())
    never_made = {step.name for step in plan.without(made, "optimize small")}
    assert not {name for name in never_made if name.endswith((" small", " both"))}
    not_exported = {step.name: step for step in plan.without(made, "export small")}
    assert "evaluate both" in not_exported and "evaluate small" not in not_exported
    assert set(not_exported["choose"].inputs["servables"]) == {"base", "both"}


def test_variant_changes_no_key_but_its_own_and_that_of_the_choice() -> None:
    alone, both = steps(), steps(small=INT8)
    renamed = steps(smaller=INT8)
    assert {name for name in alone if alone[name].key != both[name].key} == {
        "choose",
        "load",
        "handoff",
    }
    assert both["evaluate small"].key == renamed["evaluate smaller"].key
    assert both["choose"].key != renamed["choose"].key


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({"a": {"type": "squeeze"}}, r"optimize\.variants\.a\.type: must be one of .*quantize"),
        ({"a": INT8 | {"modes": 1}}, r"optimize\.variants\.a\.modes: unknown key; .*'mode'"),
        ({"a": INT8 | {"of": "b"}, "b": INT8}, r"variants\.a\.of: must be an earlier .*'b'"),
        ({"a": INT8, "b": INT8 | {"of": "a"}}, r"variants\.b\.of: must be of 32 bits.*'a'"),
        ({"a/b": INT8}, r"optimize\.variants: names must be .*received 'a/b'"),
        ({"base": INT8}, r"optimize\.variants: names must be .*received 'base'"),
    ],
)
def test_variant_that_cannot_be_is_refused_by_its_path(
    variants: dict[str, Any], message: str
) -> None:
    with pytest.raises(config.ConfigError, match=message):
        steps(**variants)
