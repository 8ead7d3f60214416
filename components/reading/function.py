"""The user's own function: found by its import path, called with each row before columns count."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .picking import Made, row_of_mapping
from .rows import NO_LABEL, Cells, Reject, Row, reject
from .source import InputFile, Source

FIELD = "preprocess.source.function"


def load_function(path: str) -> Callable[[dict[str, object]], Any]:
    """What `package.module:name` names; modules of the working folder count too.

    `ValueError` when it cannot be imported or called.
    """
    module_name, _, name = path.partition(":")
    if os.getcwd() not in sys.path:  # a console script does not look there, `python -m` does
        sys.path.append(os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # importing runs the user's code, which may raise anything
        raise ValueError(
            f"{FIELD}: must be a function that can be imported; received {path!r}: "
            f"{type(error).__name__}: {error}; correct the path, run in the folder of the module, "
            "or install its package"
        ) from error
    if not callable(found):
        raise ValueError(
            f"{FIELD}: must be a function; received {path!r}, which is a {type(found).__name__}; "
            "name one that takes a row as a dict"
        )
    return found


def function_digest(source: Source) -> str | None:
    """sha256 of the module files that the function is named and written in; None without one.

    What these import is not looked at.
    """
    if source.function is None:
        return None
    function = load_function(source.function)
    whole = hashlib.sha256(source.function.encode())
    for name in dict.fromkeys((source.function.partition(":")[0], function.__module__)):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None:
            with open(file, "rb") as content:
                whole.update(hashlib.file_digest(content, "sha256").digest())
    return whole.hexdigest()


def called(source: Source, input_file: InputFile, rows: Iterable[Made]) -> Iterator[Row | Reject]:
    """The rows that the function makes of `Cells`; what was set aside before stays so."""
    function = load_function(source.function or "")
    for row in rows:
        if not isinstance(row, Cells):
            yield row
            continue
        try:
            made = _as_dicts(function(row.values))
        except Exception as error:  # of the user's code: costs this row
            detail = f"{type(error).__name__}: {error}"
            yield reject(row.file, row.row, "function_failed", detail)
            continue
        if not made:
            yield reject(row.file, row.row, "dropped_by_function", "the function left it out")
        for found in made:
            yield _picked(source, input_file, row, found)


def _as_dicts(given: object) -> list[dict[str, object]]:
    """The rows in what the function gave, none for None; copies, as users may keep theirs."""
    if given is None:
        return []
    rows: list[Any] = list(given) if isinstance(given, list | tuple) else [given]
    for row in rows:
        if not isinstance(row, Mapping):
            raise TypeError(
                f"must give a dict, a list of dicts or None; received {type(row).__name__}"
            )
    return [dict(row) for row in rows]


def _picked(
    source: Source, input_file: InputFile, row: Cells, found: dict[str, object]
) -> Row | Reject:
    label = NO_LABEL
    if input_file.label is not None and source.label_column is not None:
        label = found.pop(source.label_column, input_file.label)
    return row_of_mapping(source, row.file, row.row, found, folder_label=label)
