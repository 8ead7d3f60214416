"""The JSON files of a bundle -> what they tell. Whoever forged it may have written anything there.

All are read before the model is loaded, so that one that tells nothing is refused by its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from . import samples
from .bundle import (
    EVALUATION_FILE,
    SAMPLES_FILE,
    SLO_FILE,
    VERSIONS_FILE,
    Bundle,
    BundleError,
)
from .samples import Samples

_MAX_SHOWN = 200
"""Characters of what is wrong with a file."""

_WRONG = (
    ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError,
)  # fmt: skip
"""That JSON of any shape makes code raise which expects another one."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the gates said of the model."""

    blessed: bool  # no gate refused it
    refusals: tuple[str, ...]
    num_gates: int
    num_examples: int
    accuracy: tuple[float, float, float]  # value, low, high


@dataclass(frozen=True, kw_only=True)
class Documents:
    """What a bundle tells of its model."""

    samples: Samples
    promises: Mapping[str, float]  # those that were made, by name
    judgement: Judgement
    versions: tuple[tuple[str, str], ...]  # package and version, of what serving needs


def read(opened: Bundle) -> Documents:
    """The documents of a bundle that is whole.

    Raises:
        BundleError: one does not say what it is there for; names it.
    """
    return Documents(
        samples=_samples(opened),
        promises=_promises(opened),
        judgement=_judgement(opened),
        versions=_versions(opened),
    )


def _samples(opened: Bundle) -> Samples:
    with _told_of(SAMPLES_FILE):
        stored = samples.loads((opened.folder / SAMPLES_FILE).read_bytes())
        wanted = 1 + opened.has_text_pair
        if not stored or len(stored.columns) != wanted:
            raise ValueError(
                f"{len(stored)} rows of {len(stored.columns)} texts instead of {wanted}"
            )
    return stored


def _promises(opened: Bundle) -> dict[str, float]:
    with _told_of(SLO_FILE):
        told = _object(opened, SLO_FILE)["promises"]
        return {n: _number(value, n) for n, value in told.items() if value is not None}


def _judgement(opened: Bundle) -> Judgement:
    with _told_of(EVALUATION_FILE):
        told = _object(opened, EVALUATION_FILE)
        refused = [str(gate["message"]) for gate in told["gates"] if gate["passed"] is not True]
        value, low, high = (_number(told["accuracy"][n], n) for n in ("value", "low", "high"))
        return Judgement(
            blessed=told["verdict"]["blessed"] is True and not refused,
            refusals=tuple(refused),
            num_gates=len(told["gates"]),
            num_examples=int(_number(told["num_examples"], "num_examples")),
            accuracy=(value, low, high),
        )


def _versions(opened: Bundle) -> tuple[tuple[str, str], ...]:
    with _told_of(VERSIONS_FILE):
        components = _object(opened, VERSIONS_FILE)["components"]
        needed = [one for one in components if one["scope"] == "required"]
        return tuple((str(one["name"]), str(one["version"])) for one in needed)


def _object(opened: Bundle, name: str) -> dict[str, Any]:
    told = json.loads((opened.folder / name).read_bytes())
    if not isinstance(told, dict):
        raise TypeError(f"{type(told).__name__} instead of an object")
    return told


def _number(value: Any, name: str) -> float:
    if type(value) not in (int, float):
        raise TypeError(f"{name} is no number")
    return float(value)


@contextmanager
def _told_of(name: str) -> Iterator[None]:
    """Whatever is wrong with a file is told with its name."""
    try:
        yield
    except _WRONG as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_SHOWN]
        raise BundleError(
            f"{name}: must tell what it does in a bundle that tpuline wrote; received something "
            f"else ({what}); the bundle was forged: refuse it"
        ) from error
