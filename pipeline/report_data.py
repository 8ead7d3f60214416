"""statistics.json of a ShardSet -> the section `data.statistics` of report.json, and its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..components.contracts import ShardSet
from ..components.example_spec import SPLITS

if TYPE_CHECKING:
    from ..components.preprocess.statistics.stored import DataFacts
    from ..components.preprocess.statistics.sums import Statistics

_SHOWN_NAMES = 5  # scripts or languages of a split


def load(shards: ShardSet) -> DataFacts | None:
    """What the file holds; None where the stage left none, or one that cannot be read."""
    if not shards.statistics_file:
        return None
    from ..components.preprocess.statistics import stored as statistics_file

    try:
        path = Path(shards.uri) / shards.statistics_file
        return statistics_file.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def to_json(shards: ShardSet) -> dict[str, Any] | None:
    """The facts for report.json: rates and shares in place of counts by token."""
    facts = load(shards)
    if facts is None:
        return None
    return {
        "splits": {name: _split(split, shards.label_names) for name, split in facts.splits.items()},
        "violations": facts.violations,
        "tables": facts.tables,
        "schema_file": shards.schema_file or None,
    }


def summary(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Lines for a terminal: name and fact."""
    found = data.get("statistics")
    if not found:
        return []
    lines = []
    for name in sorted(found["splits"], key=SPLITS.index):
        split = found["splits"][name]  # report.json has them in the order of the alphabet
        parts = [
            f"{split['unknown_rate']:.2%} unknown tokens",
            f"{split['coverage']:.0%} of the vocabulary",
            *(shares_in_words(split[key]) for key in ("scripts", "languages") if split[key]),
        ]
        lines.append(("texts", f"{name}: {'; '.join(parts)}"))
    lines += [("schema", violation["message"]) for violation in found["violations"]]
    return lines


def shares_in_words(shares: Sequence[Mapping[str, Any]]) -> str:
    """ "Latin 98.2%, Han 1.8%"; what is below a thousandth is left out."""
    shown = [row for row in shares if row["share"] >= 0.001][:_SHOWN_NAMES]
    return ", ".join(f"{row['name']} {row['share']:.1%}" for row in shown)


def _split(split: Statistics, labels: Sequence[str]) -> dict[str, Any]:
    from ..components.preprocess.statistics.sums import CHARACTER_EDGES

    counts = split.character_counts.tolist()
    return {
        "num_rows": split.num_rows,
        "mean_characters": split.num_characters / split.num_rows if split.num_rows else None,
        "character_counts": {
            str(CHARACTER_EDGES[i]): count for i, count in enumerate(counts) if count
        },
        "length_quantiles": {
            f"p{share}": split.length_quantile(share / 100) for share in (1, 50, 90, 99)
        },
        "unknown_rate": split.unknown_rate,
        "coverage": split.coverage,
        "scripts": _shares(split.scripts),
        "languages": _shares(split.languages),
        "language_sample": split.languages.total(),
        "telling_terms": [
            {"label": labels[found.label], "terms": found.terms}
            for found in split.telling_terms
            if found.terms
        ],
    }


def _shares(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"name": name, "share": count / total} for name, count in ordered if count]
