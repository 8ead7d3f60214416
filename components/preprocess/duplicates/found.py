"""What is done about texts that come twice, and what was found of them. Pure.

Contents are equal when their keys are: see `splits.content`. They are near when so many of their
word 3-grams are shared: see `shingles`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

MAX_EXAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class DuplicatesConfig:
    """Only train ever loses rows: validation and test keep theirs, so that metrics stay comparable.

    What is not dropped is reported, and so is what validation and test share.
    """

    # drop: of rows of train with one text and label all but the first; error: for rows with one
    # text in any split, whatever their labels
    exact: Literal["drop", "report", "error"] = "drop"
    near: Literal["off", "report", "drop"] = "report"  # of similar rows of train likewise
    similarity: float = 0.8  # Jaccard, of the sets of word 3-grams; from here on texts are near
    across: Literal["drop", "report"] = "drop"  # rows of train that are in validation or test too

    def __post_init__(self) -> None:
        choices = {
            "exact": ("drop", "report", "error"),
            "near": ("off", "report", "drop"),
            "across": ("drop", "report"),
        }
        for name, known in choices.items():
            value = getattr(self, name)
            if value not in known:
                raise ValueError(
                    f"{name}: must be one of {', '.join(known)}; received {value!r}; leave it out "
                    f"to get {getattr(type(self), name)}"
                )
        if not 0.5 <= self.similarity <= 1:
            raise ValueError(
                f"similarity: must be from 0.5 to 1; received {self.similarity}; 0.8 finds texts "
                "of which a few words differ"
            )


@dataclass(frozen=True, kw_only=True)
class Example:
    """Two rows, each as file:row, and their similarity: 1 when equal, else estimated."""

    first: str
    second: str
    similarity: float


@dataclass(frozen=True, kw_only=True)
class Within:
    """What comes again inside one split."""

    split: str
    exact_rows: int = 0  # beyond the first of each content
    exact_contents: int = 0  # that come more than once
    conflict_rows: int = 0  # whose content comes with another label too
    near_contents: int | None = None  # beyond the first of each group; None: not looked for
    exact_examples: tuple[Example, ...] = ()
    conflict_examples: tuple[Example, ...] = ()
    near_examples: tuple[Example, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Across:
    """What two splits share."""

    first: str
    second: str
    exact_contents: int = 0
    near_contents: int | None = None  # of `first`, near to one of `second` but equal to none of it
    exact_examples: tuple[Example, ...] = ()  # the row of `first` first
    near_examples: tuple[Example, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """Everything that was found, and where the keys stand that train must do without."""

    within: tuple[Within, ...] = ()  # in the order of the splits
    across: tuple[Across, ...] = ()
    dropped_file: str = ""  # see `dropped`; "": no key is dropped

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Duplicates:
        """The record of which `fields` are `dataclasses.asdict`, through JSON or not."""
        return cls(
            within=tuple(Within(**_with_examples(part)) for part in fields["within"]),
            across=tuple(Across(**_with_examples(part)) for part in fields["across"]),
            dropped_file=fields["dropped_file"],
        )


def _with_examples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(Example(**example) for example in value)
        if name.endswith("_examples")
        else value
        for name, value in fields.items()
    }
