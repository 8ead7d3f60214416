"""YAML + `--set a.b=c` -> RunConfig. Every error names its YAML path and the nearest known key."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from . import stages
from .errors import ConfigError
from .hardware.config import HardwareConfig

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_KEPT = ("null", "merge")
_STRICT = ConfigDict(extra="forbid", strict=True, protected_namespaces=())
Settings = TypeVar("Settings")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides a run. `sections` holds one typed config a stage, in flow order."""

    name: str
    data_dir: str  # a folder of this machine, or gs://bucket/folder
    seed: int
    hardware: HardwareConfig
    sections: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The resolved config as plain values: what `load` would read back."""
        plain = {"name": self.name, "data_dir": self.data_dir, "seed": self.seed}
        typed = {"hardware": self.hardware, **self.sections}
        return plain | {name: asdict(section) for name, section in typed.items()}


class _Loader(yaml.SafeLoader):
    """Safe YAML with the scalars of YAML 1.2: 1e-4 is a number; 010, 1:30, dates, off and no are
    text.

    A key given twice is refused.
    """


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in _KEPT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9][0-9_]{0,30})$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"[-+]?(([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|"
        r"\.(inf|nan))$"
    ),
    list("-+.0123456789"),
)


def _mapping_without_duplicates(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node)
        if not isinstance(key, str):
            raise yaml.MarkedYAMLError(
                problem=f"key {key!r} is not text", problem_mark=key_node.start_mark
            )
        if key in seen:
            raise yaml.MarkedYAMLError(
                problem=f"key {key!r} is given twice", problem_mark=key_node.start_mark
            )
        seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_duplicates)


def _read_yaml(text: str, *, what: str, source: str) -> Any:
    """Plain values that JSON has words for."""
    try:
        return json.loads(json.dumps(yaml.load(text, Loader=_Loader)))
    except Exception as error:  # PyYAML lets ValueError, KeyError, RecursionError ... through
        reason = str(error) or type(error).__name__
        raise ConfigError([f"{what} is not YAML: {reason}"], source=source) from error


def load(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Reads a config file and applies `a.b=c` overrides.

    Raises:
        ConfigError: with every problem found, each with its YAML path.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        known = sorted(str(p) for p in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        near = difflib.get_close_matches(str(path), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"configs there: {known}"
        raise ConfigError([f"no file {path}; {hint}"], source="config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"cannot be read: {error}"], source=str(path)) from error
    data = _read_yaml(text, what="the file", source=str(path))
    return parse({} if data is None else data, overrides, name=path.stem, source=str(path))


def parse(
    data: Any, overrides: Sequence[str] = (), *, name: str = "run", source: str = "config"
) -> RunConfig:
    """Types and checks plain values; `name` is used where the config gives none."""
    if not isinstance(data, dict):
        raise ConfigError(["must be a mapping of sections"], source=source)
    data = _apply(data, overrides, source)
    # A section whose keys are all commented out is as if it were left out.
    sections = {stage.name for stage in stages.table()} | {"hardware"}
    data = {key: value for key, value in data.items() if value is not None or key not in sections}
    data.setdefault("name", name)
    try:
        model = _model().model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        problems = [_explain(dict(e), _model()) for e in error.errors()]
        raise ConfigError(problems, source=source) from None
    config = RunConfig(
        name=model.name,  # type: ignore[attr-defined]
        data_dir=model.data_dir,  # type: ignore[attr-defined]
        seed=model.seed,  # type: ignore[attr-defined]
        hardware=model.hardware,  # type: ignore[attr-defined]
        sections={stage.name: getattr(model, stage.name) for stage in stages.table()},
    )
    problems = _impossible(config)
    if problems:
        raise ConfigError(problems, source=source)
    return config


def settings(kind: type[Settings], overrides: Sequence[str], *, source: str) -> Settings:
    """`kind`, a config without a file of its own, from `a.b=c` alone.

    Raises:
        ConfigError: with every problem found, each with its path.
    """
    data = _apply({}, overrides, source)
    model = create_model("Settings", __config__=_STRICT, settings=(kind, ...))
    try:
        typed = model.model_validate_json(json.dumps({"settings": data}), strict=True)
    except ValidationError as error:
        problems = [_explain({**e, "loc": e["loc"][1:]}, kind) for e in error.errors()]
        raise ConfigError(problems, source=source) from None
    return typed.settings  # type: ignore[attr-defined]


def check(config: RunConfig) -> None:
    """Checks what can be seen without running: files, columns, sizes. Raises `ConfigError`."""
    problems = []
    for stage in stages.table():
        try:
            stage.check(config.sections[stage.name], config.data_dir)
        except (ValueError, OSError) as error:
            problems.append(str(error))
    if not problems:  # what follows reads a preset that is whole
        problems = stages.unfit(config.sections)
    if problems:
        raise ConfigError(problems, source=config.name)


@cache
def _model() -> type[BaseModel]:
    """A pydantic model of the whole file, made from the table of stages."""
    sections: dict[str, Any] = {"hardware": (HardwareConfig, HardwareConfig())}
    for stage in stages.table():
        required = any(f.default is f.default_factory for f in fields(stage.Config))
        sections[stage.name] = (stage.Config, ... if required else Field(default=stage.Config()))
    return create_model(
        "RunConfig",
        __config__=_STRICT,
        name=(str, ...),
        data_dir=(str, "."),
        seed=(int, Field(default=20, ge=0, lt=2**31)),
        **sections,
    )


def _apply(data: dict[str, Any], overrides: Sequence[str], source: str) -> dict[str, Any]:
    """A copy of `data` with each `a.b=value` (value in YAML) laid over it."""
    data = json.loads(json.dumps(data))
    for override in overrides:
        path, equals, value = override.partition("=")
        if not equals or not path:
            raise ConfigError([f"{override!r}: must look like a.b=value"], source="--set")
        if not value.strip():
            problem = f"{path}: must be given a value; received none; write {path}=null to unset it"
            raise ConfigError([problem], source="--set")
        *parents, last = path.strip().split(".")
        place = data
        for key in parents:
            if not isinstance(place.get(key), dict):
                place[key] = {}
            place = place[key]
        try:
            place[last] = yaml.load(value, Loader=_Loader)
        except yaml.YAMLError as error:
            raise ConfigError(
                [f"{path}: {value!r} is not YAML: {error}"], source="--set"
            ) from error
    return data


_MOVED = {"evaluate.gates": "the section judge"}


def _explain(error: dict[str, Any], root: type) -> str:
    """One pydantic error in the house's words, with the nearest known key."""
    path, owner = _walk(error["loc"], root)
    kind, received = error["type"], error.get("input")
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        if path in _MOVED:
            return f"{path}: is {_MOVED[path]} now; move its keys there"
        known = sorted(owner)
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "nothing there is called so"
        return f"{path}: unknown key; {hint} known keys: {', '.join(known)}"
    if kind in ("missing", "missing_keyword_only_argument", "missing_argument"):
        return f"{path}: must be given"
    if kind == "value_error":
        message = str(error["ctx"]["error"])
        return f"{path}.{message}" if path else message
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        tags = str(error["ctx"].get("expected_tags", "")) or "the known types"
        return f"{path}.type: must be one of {tags}; received {_short(received, 'type')}"
    message = error["msg"].removeprefix("Input ").replace("should be", "must be")
    return f"{path}: {message}; received {_short(received)}"


def _short(value: Any, key: str | None = None) -> str:
    if key is not None and isinstance(value, dict):
        value = value.get(key, "nothing")
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _walk(loc: Sequence[str | int], root: type) -> tuple[str, list[str]]:
    """The YAML path of a pydantic location, and the keys known where it ends."""
    path: list[str] = []
    here: Any = root
    known = _keys(here)
    for part in loc:
        if get_origin(here) in (dict, Mapping) and len(get_args(here)) == 2:
            path.append(str(part))
            here = get_args(here)[1]
            if get_origin(here) is Annotated:
                here = get_args(here)[0]
            continue
        options = [t for t in get_args(here) if is_dataclass(t)]
        tagged = [t for t in options if part in get_args(get_type_hints(t).get("type"))]
        if tagged:  # pydantic puts the chosen type of a tagged union into the path
            here, known = tagged[0], _keys(tagged[0])
            continue
        known = _keys(here) or known
        path.append(str(part))
        here = _child(here, part)
    return ".".join(path), known


def _keys(owner: Any) -> list[str]:
    if isinstance(owner, type) and issubclass(owner, BaseModel):
        return list(owner.model_fields)
    return [f.name for f in fields(owner)] if is_dataclass(owner) else []


def _child(owner: Any, key: str | int) -> Any:
    if isinstance(owner, type) and issubclass(owner, BaseModel):
        return owner.model_fields[str(key)].annotation if key in owner.model_fields else None
    if is_dataclass(owner):
        hint = get_type_hints(owner, include_extras=False).get(str(key))
        plain = [t for t in get_args(hint) if t is not type(None)]
        single = len(plain) == 1 and is_dataclass(plain[0])
        return plain[0] if single else hint
    return None


def _impossible(config: RunConfig) -> list[str]:
    """What each section allows but the whole cannot be."""
    problems = []
    names = {stage.name for stage in stages.table()}
    if not _NAME.fullmatch(config.name) or config.name in names:
        problems.append(
            "name: must be at most 100 letters, digits, '.', '_', '-' and no stage's name; "
            f"received {_short(config.name)}; it becomes the folder of the report"
        )
    if "://" in config.data_dir and not config.data_dir.startswith("gs://"):
        problems.append(
            f"data_dir: must be a folder or gs://bucket/folder; received {config.data_dir!r}; "
            "mount other stores as a folder"
        )
    for path, value in flatten(config.as_dict()):
        if isinstance(value, float) and not math.isfinite(value):
            problems.append(f"{path}: must be a finite number; received {value}")
    return problems + stages.impossible(config.hardware, config.sections)


def flatten(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Every leaf of nested dicts and lists with its dotted path."""
    if isinstance(value, dict):
        items: Any = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        return [(path, value)]
    return [leaf for k, v in items for leaf in flatten(v, f"{path}.{k}" if path else str(k))]
