"""statistics.json of a ShardSet: the statistics of each split, and what was found wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from ...example_spec import SPLITS
from .schema import Violation
from .sums import Statistics
from .terms import LabelTerms, Term

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Table:
    """Facts for the report that fit no other record: duplicates, leakage, redactions."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float, ...], ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """Everything that the file holds."""

    splits: Mapping[str, Statistics] = field(default_factory=dict)  # summarised
    violations: tuple[Violation, ...] = ()
    tables: tuple[Table, ...] = ()


def dumps(facts: DataFacts) -> str:
    """Compact, sorted JSON: the same facts always give the same text."""
    document = {
        "format": FORMAT,
        "splits": {name: to_json(split) for name, split in facts.splits.items()},
        "violations": [asdict(violation) for violation in facts.violations],
        "tables": [asdict(table) for table in facts.tables],
    }
    return json.dumps(
        document, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )


def loads(text: str) -> DataFacts:
    """The facts that `dumps` wrote. `ValueError` when it is something else."""
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"statistics of format {FORMAT} expected")
    known = document["splits"]
    return DataFacts(
        splits={name: from_json(known[name]) for name in sorted(known, key=_in_order)},
        violations=tuple(Violation(**violation) for violation in document["violations"]),
        tables=tuple(
            Table(
                title=table["title"],
                columns=tuple(table["columns"]),
                rows=tuple(tuple(row) for row in table["rows"]),
                note=table["note"],
            )
            for table in document["tables"]
        ),
    )


def _in_order(split: str) -> tuple[int, str]:
    return (SPLITS.index(split) if split in SPLITS else len(SPLITS), split)


def to_json(statistics: Statistics) -> dict[str, Any]:
    """Plain values of summarised statistics; term counts, which are large, are left out."""
    plain: dict[str, Any] = {}
    for item in fields(Statistics):
        value = getattr(statistics, item.name)
        if item.name == "telling_terms":
            plain[item.name] = [asdict(terms) for terms in value]
        elif item.name.endswith("_counts"):
            plain[item.name] = value.tolist()
        elif isinstance(value, Counter):
            plain[item.name] = dict(sorted(value.items()))
        elif item.name != "terms":
            plain[item.name] = value
    return plain


def from_json(plain: Mapping[str, Any]) -> Statistics:
    """What `to_json` was given, without term counts."""
    values: dict[str, Any] = dict(plain)
    for name, value in plain.items():
        if name.endswith("_counts"):
            values[name] = np.array(value, np.int64)
        elif isinstance(value, dict):
            values[name] = Counter(value)
    values["telling_terms"] = tuple(
        LabelTerms(label=terms["label"], terms=tuple(Term(**term) for term in terms["terms"]))
        for terms in plain["telling_terms"]
    )
    return Statistics(**values)
