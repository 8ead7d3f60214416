"""Schema <-> schema.yaml, a file for people: every bound says what it means."""

from __future__ import annotations

import difflib
import hashlib
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml

from ... import files
from .schema import Schema, SchemaConfig

FORMAT = 1
FIELD = "preprocess.schema.file"

_HEAD = """\
# What the data is expected to look like, inferred from the train split of one run.
# Edit the bounds, keep the file with the config, and name it in preprocess.schema.file:
# rows that are not as expected then fail the run, or warn with on_violation: warn.
# A max_shift is a Jensen-Shannon distance, 0 (alike) to 1 (nothing in common).
"""
_COMMENTS = {
    "num_rows": "train rows seen; few rows allow larger shifts by chance",
    "labels": "another label than these is a violation; null: unlabelled",
    "labels.shares": "of the train rows, summing to 1 where each has one label",
    "labels.max_shift": "of the label shares of any split from these",
    "lengths": "in tokens a row, [CLS] and [SEP] included",
    "lengths.sequence_length": "at which rows are cut",
    "lengths.mean": "for people: not checked",
    "lengths.quantiles": "for people: not checked",
    "lengths.bins": "the least length of each bin of the histogram",
    "lengths.shares": "of the train rows, by bin",
    "lengths.max_shift": "of the length histogram of any split from this one",
    "lengths.max_truncated_share": "of the rows of a split",
    "max_unknown_rate": "tokens that the vocabulary lacks, of all tokens of a split",
    "min_coverage": "share of the vocabulary that train uses at least",
    "scripts": "of letters, as Unicode names them",
    "scripts.min_share": "another script is a violation from this share of the letters on",
    "languages": "of a sample of rows, guessed by py3langid",
    "languages.min_share": "another language is a violation from this share of the sample on",
    "max_reject_share": "rows set aside, of those read",
    "max_missing_share": "rows without a text or a label, of those read",
}


def to_yaml(schema: Schema) -> str:
    """What `load` reads; the same schema always gives the same text."""
    lines = [_HEAD.rstrip(), f"format: {FORMAT}"]
    for item in fields(schema):
        lines += _lines(item.name, getattr(schema, item.name), item.name)
    return "\n".join(lines) + "\n"


def place(config: SchemaConfig, data_dir: str | Path) -> str | None:
    """The path of the file; None when no schema is configured."""
    if config.file is None:
        return None
    if files.is_remote(config.file) or Path(config.file).is_absolute():
        return config.file
    return files.join(str(data_dir), config.file)


def digest(config: SchemaConfig, data_dir: str | Path) -> str | None:
    """SHA-256 of the file for the cache key; None without one. `ValueError` as of `load`."""
    content = _read(config, data_dir)
    return None if content is None else hashlib.sha256(content).hexdigest()


def load(config: SchemaConfig, data_dir: str | Path) -> Schema | None:
    """The configured schema; None without one.

    Raises:
        ValueError: it cannot be read, or holds what no schema has; names the key.
    """
    content = _read(config, data_dir)
    return None if content is None else parse(content, source=str(config.file))


def parse(content: bytes, *, source: str) -> Schema:
    """The schema that a file holds; `ValueError` names the key that is wrong."""
    try:
        data = yaml.safe_load(content.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _wrong(source, "", "be YAML in UTF-8", str(error)) from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        received = data.get("format") if isinstance(data, dict) else type(data).__name__
        raise _wrong(source, "format", f"be {FORMAT}", repr(received))
    data = {key: value for key, value in data.items() if key != "format"}
    schema: Schema = _value(Schema, data, source=source, path="")
    if schema.labels is not None and len(schema.labels.shares) < 2:
        raise _wrong(source, "labels.shares", "name two labels or more", str(schema.labels.shares))
    bins, shares = schema.lengths.bins, schema.lengths.shares
    if len(bins) != len(shares):
        raise _wrong(
            source, "lengths.shares", "be as many as bins", f"{len(shares)} for {len(bins)}"
        )
    if list(bins) != sorted({0, *bins}) or bins[-1] > schema.lengths.sequence_length:
        must = "start at 0 and rise, up to sequence_length at most"
        raise _wrong(source, "lengths.bins", must, str(list(bins)))
    return schema


def _read(config: SchemaConfig, data_dir: str | Path) -> bytes | None:
    path = place(config, data_dir)
    if path is None:
        return None
    try:
        return files.read_bytes(path)
    except OSError as error:
        raise ValueError(
            f"{FIELD}: must be a file that can be read; received {config.file!r} ({error}); give "
            "the schema.yaml of an earlier run, relative to data_dir"
        ) from error


def _lines(key: str, value: Any, path: str, indent: str = "") -> list[str]:
    comment = f"  # {_COMMENTS[path]}" if path in _COMMENTS else ""
    if is_dataclass(value):
        inner = [
            line
            for item in fields(value)
            for line in _lines(
                item.name, getattr(value, item.name), f"{path}.{item.name}", indent + "  "
            )
        ]
        return [f"{indent}{key}:{comment}", *inner]
    plain = dict(value) if isinstance(value, Mapping) else value
    plain = list(plain) if isinstance(plain, tuple) else plain
    written = yaml.safe_dump(
        plain, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return [f"{indent}{key}: {written.removesuffix('...' + chr(10)).rstrip()}{comment}"]


def _value(kind: Any, value: Any, *, source: str, path: str) -> Any:
    """`value` as the annotated type of a schema's field; `ValueError` names its path."""
    options = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    if value is None and type(None) in options:
        return None
    kind = next(option for option in options if option is not type(None))
    if is_dataclass(kind):
        return _record(kind, value, source=source, path=path)
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin is tuple and isinstance(value, list):
        items = enumerate(value)
        return tuple(_value(inner[0], v, source=source, path=f"{path}[{i}]") for i, v in items)
    if origin is Mapping and isinstance(value, dict):
        return {
            str(key): _value(inner[1], item, source=source, path=f"{path}.{key}")
            for key, item in value.items()
        }
    if origin is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if origin in (int, str) and type(value) is origin:
        return value
    shown = {tuple: "a list", Mapping: "a mapping", float: "a number", int: "a whole number"}
    raise _wrong(source, path, f"be {shown.get(origin, 'a text')}", repr(value))


def _record(kind: Any, value: Any, *, source: str, path: str) -> Any:
    hints, known = get_type_hints(kind), {item.name: item for item in fields(kind)}
    if not isinstance(value, dict):
        raise _wrong(source, path, "be a mapping", repr(value))
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise _wrong(source, _join(path, key), "be a known key", f"{key!r}; {hint}")
    for name, item in known.items():
        required = item.default is MISSING and item.default_factory is MISSING
        if name not in value and required:
            raise _wrong(source, _join(path, name), "be given", "nothing")
    return kind(
        **{
            key: _value(hints[key], item, source=source, path=_join(path, key))
            for key, item in value.items()
        }
    )


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _wrong(source: str, path: str, must: str, received: str) -> ValueError:
    where = f"{source}: {path}" if path else source
    return ValueError(
        f"{FIELD}: {where} must {must}; received {received}; see the schema.yaml that each "
        "preprocess artifact holds"
    )
