"""RunConfig -> ordered steps, inputs wired by artifact type. Reads only source digests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_type_hints

from . import machine, stages
from .config import RunConfig
from .errors import ConfigError
from .fingerprint import cache_key, plain


@dataclass(frozen=True, kw_only=True)
class Step:
    """One stage to be run or reused."""

    stage: stages.Stage
    key: str
    inputs: dict[str, str]  # field of Inputs -> name of the stage that makes it
    identity: Any  # what stands for the config in the key

    @property
    def name(self) -> str:
        return self.stage.name


def make(config: RunConfig, *, until: str | None = None) -> tuple[Step, ...]:
    """The steps of a run, first to last, `until` included.

    Raises:
        ConfigError: `until` is no stage.
        ValueError: a source cannot be read.
        TypeError: the table of stages does not fit together.
    """
    check_until(until)
    steps: list[Step] = []
    for stage in stages.table():
        inputs = wire(stage, [step.stage for step in steps])
        facts = identity(stage, config)
        keys = {step.name: step.key for step in steps}
        steps.append(
            Step(
                stage=stage,
                key=cache_key(
                    stage=stage.name,
                    version=stage.version,
                    identity=facts,
                    inputs={field: keys[maker] for field, maker in inputs.items()},
                ),
                inputs=inputs,
                identity=facts,
            )
        )
        if stage.name == until:
            break
    return tuple(steps)


def check_until(until: str | None) -> None:
    """`ConfigError` unless it is None or a stage."""
    names = [stage.name for stage in stages.table()]
    if until is not None and until not in names:
        raise ConfigError(
            [f"--until: must be one of {', '.join(names)}; received {until!r}"], source="run"
        )


def wire(stage: stages.Stage, earlier: Sequence[stages.Stage]) -> dict[str, str]:
    """Each field of `stage.Inputs` with the name of the one earlier stage that makes its type."""
    wires = {}
    for field, wanted in get_type_hints(stage.Inputs).items():
        makers = [other.name for other in earlier if other.Output is wanted]
        if len(makers) != 1:
            raise TypeError(
                f"{stage.name}.Inputs.{field}: needs exactly one earlier stage that makes a "
                f"{wanted.__name__}; found {makers or 'none'}"
            )
        wires[field] = makers[0]
    return wires


def identity(stage: stages.Stage, config: RunConfig) -> Any:
    """What a stage's result depends on besides its inputs. Reads source files for their digests."""
    facts = {"config": stage.identity(config.sections[stage.name], config.data_dir)}
    if "seed" in stage.uses:
        facts["seed"] = config.seed
    if "hardware" in stage.uses:
        hardware = asdict(config.hardware)
        del hardware["tpu_address"]  # where it is does not change what it computes
        facts["hardware"] = hardware
    if "machine" in stage.uses:
        facts["machine"] = machine.speed_facts()
    return plain(facts)
