"""The table of stages in data-flow order: the one place where a stage is registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from types import ModuleType
from typing import Any

from ..components.stage import Log


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage module as the pipeline sees it (`components.stage` says what a module offers)."""

    name: str
    module: ModuleType

    @property
    def version(self) -> int:
        return self.module.VERSION

    @property
    def Config(self) -> Any:  # the dataclass itself, hence its capital
        return self.module.Config

    @property
    def Inputs(self) -> Any:
        return self.module.Inputs

    @property
    def Output(self) -> Any:
        return self.module.Output

    @property
    def run(self) -> Callable[..., Any]:
        return self.module.run

    @property
    def uses(self) -> frozenset[str]:
        """Which of `seed`, `hardware` and `machine` the result depends on."""
        return getattr(self.module, "USES", frozenset())

    @property
    def each_variant(self) -> bool:
        """Whether it runs for the model as it was trained and again for each variant of it."""
        return getattr(self.module, "EACH_VARIANT", False)

    @property
    def makes_variants(self) -> bool:
        """Whether it makes one artifact a variant, each with a config of its own."""
        return hasattr(self.module, "variants")

    def variants(self, config: Any) -> dict[str, Any]:
        """The config of each variant by its name; none for most stages."""
        return self.module.variants(config) if self.makes_variants else {}

    def made_of(self, variant: str, part: Any) -> str:
        """The variant whose artifacts it takes."""
        return self.module.made_of(part) if self.makes_variants else variant

    @property
    def of_measurements(self) -> bool:
        """Whether it is made anew when what it is made of was, under the same key."""
        return getattr(self.module, "OF_MEASUREMENTS", False)

    @property
    def workers(self) -> bool:
        """Whether all processes that train together run it, and not the chief alone."""
        return getattr(self.module, "WORKERS", False)

    def check(self, config: Any, data_dir: str) -> None:
        """What can be checked without running; many stages have nothing to check."""
        if hasattr(self.module, "check"):
            self.module.check(config, data_dir)

    def fetch(self, config: Any, data_dir: str, log: Log) -> None:
        """Brings what the config names and this machine lacks; most stages need nothing."""
        if hasattr(self.module, "fetch"):
            self.module.fetch(config, data_dir, log)

    def identity(self, config: Any, data_dir: str) -> Any:
        """What stands for the config in the cache key."""
        if hasattr(self.module, "identity"):
            return self.module.identity(config, data_dir)
        return asdict(config)


@cache
def table() -> tuple[Stage, ...]:
    """All stages, first to last."""
    from ..components.choose import stage as choose
    from ..components.evaluate import stage as evaluate
    from ..components.export import stage as export
    from ..components.handoff import stage as handoff
    from ..components.judge import stage as judge
    from ..components.load import stage as load
    from ..components.optimize import stage as optimize
    from ..components.preprocess import stage as preprocess
    from ..components.reference import stage as reference
    from ..components.train import stage as train

    return (
        Stage(name="preprocess", module=preprocess),
        Stage(name="train", module=train),
        Stage(name="reference", module=reference),
        Stage(name="optimize", module=optimize),
        Stage(name="export", module=export),
        Stage(name="evaluate", module=evaluate),
        Stage(name="judge", module=judge),
        Stage(name="choose", module=choose),
        Stage(name="load", module=load),
        Stage(name="handoff", module=handoff),
    )


def impossible(hardware: Any, sections: Mapping[str, Any]) -> list[str]:
    """Combinations across sections that no run could carry out, in the words of the config."""
    preprocess, train = sections["preprocess"], sections["train"]
    problems = []
    replicas, parts = hardware.replicas or 1, train.accumulate_steps
    if train.global_batch_size % (replicas * parts):
        times = f" times train.accumulate_steps ({parts})" if parts > 1 else ""
        problems.append(
            f"train.global_batch_size: must be a multiple of hardware.replicas ({replicas})"
            f"{times}; "
            f"received {train.global_batch_size}; e.g. {replicas * parts * 32}"
        )
    widths = () if isinstance(train.buckets, int) else train.buckets
    too_long = [b for b in widths if b > preprocess.sequence_length]
    if too_long:
        problems.append(
            f"train.buckets: none may be longer than preprocess.sequence_length "
            f"({preprocess.sequence_length}); received {too_long}; drop them"
        )
    sliced = [
        c for c in sections["evaluate"].slices.columns if c not in preprocess.source.keep_columns
    ]
    if sliced:
        problems.append(
            "evaluate.slices.columns: must be among preprocess.source.keep_columns "
            f"({', '.join(preprocess.source.keep_columns) or 'none'}); received "
            f"{', '.join(sliced)}; keep them there, too"
        )
    problems += _not_there(sections)
    model_preset, data_preset = getattr(train.model, "preset", None), preprocess.vocabulary.preset
    if model_preset is not None and model_preset != data_preset:
        problems.append(
            "train.model.preset: must be the same as preprocess.vocabulary.preset, for its weights "
            f"only fit its own vocabulary; received {model_preset!r} and {data_preset!r}; "
            "set both to the same preset"
        )
    return problems


def unfit(sections: Mapping[str, Any]) -> list[str]:
    """What a preset on this machine cannot take."""
    from ..components.preset_files import check_length

    preset = getattr(sections["train"].model, "preset", None)
    try:
        if preset is not None:
            check_length(preset, sections["preprocess"].sequence_length)
    except ValueError as error:
        return [str(error)]
    return []


def _not_there(sections: Mapping[str, Any]) -> list[str]:
    """What is asked for that the task of the data has not, or that is not measured."""
    from ..components.export.threshold import check_label
    from ..components.judge.gates import unmeasured

    multi_label = sections["preprocess"].task == "multi_label"
    problems = []
    try:
        check_label(sections["export"].threshold, multi_label=multi_label)
    except ValueError as error:
        problems.append(str(error))
    evaluate = sections["evaluate"]
    problems += unmeasured(
        sections["judge"],
        batch_sizes=evaluate.latency.batch_sizes,
        robustness_rows=evaluate.robustness_rows,
        has_incumbent=evaluate.incumbent is not None,
        task=sections["preprocess"].task,
    )
    return problems
