"""RunConfig -> ordered steps, inputs wired by artifact type. Reads only source digests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args, get_origin, get_type_hints

from ..components.optimize.variants import BASE
from . import machine, stages
from .config import RunConfig
from .errors import ConfigError
from .fingerprint import cache_key, plain

Wires = dict[str, str | dict[str, str]]
"""Field of `Inputs` -> name of the step that makes it, or variant -> name of the step."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One stage to be run or reused, for one variant of the model."""

    stage: stages.Stage
    variant: str
    config: Any  # what `run` gets
    key: str
    inputs: Wires
    identity: Any  # what stands for the config in the key

    @property
    def name(self) -> str:
        """`export`, or `export int8` for a variant."""
        return step_name(self.stage, self.variant)

    @property
    def makers(self) -> tuple[str, ...]:
        """The names of all steps that make an input."""
        several = [[one] if isinstance(one, str) else one.values() for one in self.inputs.values()]
        return tuple(name for names in several for name in names)


def step_name(stage: stages.Stage, variant: str) -> str:
    """See `Step.name`."""
    return stage.name if variant == BASE else f"{stage.name} {variant}"


def gathered(wires: Wires, found: Mapping[str, Any]) -> dict[str, Any]:
    """What `found` has of each step, by the field that takes it."""
    return {
        field: found[makers]
        if isinstance(makers, str)
        else {variant: found[name] for variant, name in makers.items()}
        for field, makers in wires.items()
    }


def outdated(step: Step, made_of: Wires | None, fingerprints: Mapping[str, str]) -> bool:
    """Whether what an artifact was made of was made anew since, and that matters to its stage."""
    if not step.stage.of_measurements or made_of is None:
        return False
    return made_of != gathered(step.inputs, fingerprints)


def make(config: RunConfig, *, until: str | None = None) -> tuple[Step, ...]:
    """The steps of a run, first to last, `until` included.

    Raises:
        ConfigError: `until` is no stage.
        ValueError: a source cannot be read.
        TypeError: the table of stages does not fit together.
    """
    check_until(until)
    steps: list[Step] = []
    for stage, variant, part in _parts(config):
        made = [(step.stage, step.variant) for step in steps]
        inputs = wire(stage, made, stage.made_of(variant, part))
        facts = identity(stage, part, config)
        keys = {step.name: step.key for step in steps}
        steps.append(
            Step(
                stage=stage,
                variant=variant,
                config=part,
                key=cache_key(
                    stage=stage.name,
                    version=stage.version,
                    identity=facts,
                    inputs=gathered(inputs, keys),
                ),
                inputs=inputs,
                identity=facts,
            )
        )
    if until is None:
        return tuple(steps)
    names = [stage.name for stage in stages.table()]
    wanted = names[: names.index(until) + 1]
    return tuple(step for step in steps if step.stage.name in wanted)


def without(steps: Sequence[Step], failed: str) -> tuple[Step, ...]:
    """The steps of a run that goes on although `failed`, a step of a variant, has no artifact.

    What takes that artifact goes, too, and the variants concerned are no longer among those that
    are chosen from. A step that took all variants gets another key: it is another choice.
    """
    lost, out = {failed}, set[str]()
    left: list[Step] = []
    keys: dict[str, str] = {}
    for step in steps:
        if step.name == failed or lost.intersection(
            name for name in step.inputs.values() if isinstance(name, str)
        ):
            assert step.variant != BASE, f"nothing goes on without {step.name}"
            lost.add(step.name)
            out.add(step.variant)
            continue
        inputs = {
            field: makers
            if isinstance(makers, str)
            else {variant: name for variant, name in makers.items() if variant not in out}
            for field, makers in step.inputs.items()
        }
        keys[step.name] = cache_key(
            stage=step.stage.name,
            version=step.stage.version,
            identity=step.identity,
            inputs=gathered(inputs, keys),
        )
        left.append(replace(step, inputs=inputs, key=keys[step.name]))
    return tuple(left)


def _parts(config: RunConfig) -> Iterator[tuple[stages.Stage, str, Any]]:
    """Every stage with each variant that it runs for, and its config for that."""
    variants: list[str] = []
    for stage in stages.table():
        section = config.sections[stage.name]
        if stage.makes_variants:
            for name, part in stage.variants(section).items():
                variants.append(name)
                yield stage, name, part
            continue
        for variant in (BASE, *variants) if stage.each_variant else (BASE,):
            yield stage, variant, section


def check_until(until: str | None) -> None:
    """`ConfigError` unless it is None or a stage."""
    names = [stage.name for stage in stages.table()]
    if until is not None and until not in names:
        raise ConfigError(
            [f"--until: must be one of {', '.join(names)}; received {until!r}"], source="run"
        )


def wire(
    stage: stages.Stage, earlier: Sequence[tuple[stages.Stage, str]], variant: str = BASE
) -> Wires:
    """Each field of `stage.Inputs` with the name of the one earlier step that makes its type.

    Of the own variant, and where that has none, of the base. A mapping takes those of all.
    """
    wires: Wires = {}
    for field, wanted in get_type_hints(stage.Inputs).items():
        if get_origin(wanted) is Mapping:
            (_, wanted) = get_args(wanted)
            wires[field] = {v: step_name(s, v) for s, v in earlier if s.Output is wanted}
            continue
        makers = [step for step in earlier if step[0].Output is wanted]
        own = [step for step in makers if step[1] == variant]
        chosen = [step_name(*step) for step in own or makers if step[1] in (variant, BASE)]
        if len(chosen) != 1:
            raise TypeError(
                f"{stage.name}.Inputs.{field}: needs exactly one earlier stage that makes a "
                f"{wanted.__name__}; found {chosen or 'none'}"
            )
        wires[field] = chosen[0]
    return wires


def identity(stage: stages.Stage, part: Any, config: RunConfig) -> Any:
    """What a stage's result depends on besides its inputs. Reads source files for their digests."""
    facts = {"config": stage.identity(part, config.data_dir)}
    if "seed" in stage.uses:
        facts["seed"] = config.seed
    if "hardware" in stage.uses:
        hardware = asdict(config.hardware)
        del hardware["tpu_address"]  # where it is does not change what it computes
        facts["hardware"] = hardware
    if "machine" in stage.uses:
        facts["machine"] = machine.speed_facts()
    return plain(facts)
