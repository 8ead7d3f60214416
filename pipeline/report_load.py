"""The section `load` of report.json -> rows of a table and lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..components.load_records import JUDGED_IN_WORDS, STEADY

SCENARIOS = {
    "single_stream": "one text after the other",
    "multi_stream": "eight texts a query",
    "server": "texts at random moments",
    "offline": "all at once",
}


def rows(load: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """One row a target and scenario: the run in the middle, and how far apart its repeats are.

    `range` is empty where there are not two that count.
    """
    return [
        {
            **found["middle"],
            **found,
            "words": SCENARIOS[found["middle"]["scenario"]],
            "range": "" if found["spread"] is None else _range(found),
            "unsteady": (found["spread"] or 0) > STEADY,
        }
        for found in (load["by_scenario"] if load else [])
    ]


def _range(found: Mapping[str, Any]) -> str:
    least, most = (
        f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
        for value in (found["least"], found["most"])
    )
    return f"{least} to {most}, {found['spread']:.0%} apart"


def summary(load: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Lines for a terminal: name and fact."""
    lines = []
    for row in rows(load):
        facts = [f"{row['target']} {row['scenario']}: {row['texts_per_s']:,.0f} texts/s"]
        if row["scenario"] != "offline":
            facts.append(f"p50 {row['p50_ms']:.3g}, p99 {row['p99_ms']:.3g} ms")
        if row["range"]:
            much = ", too much to rely on" if row["unsteady"] else ""
            what = JUDGED_IN_WORDS[row["judged_by"]]
            facts.append(f"{what} of {row['num_runs']} runs {row['range']}{much}")
        if not row["valid"]:
            facts.append("does not count")
        lines.append(("load", ", ".join(facts)))
    advised = [
        f"batch {timing['batch_size']}: {threads(timing)} (p50 {timing['p50_ms']:.3g} ms)"
        for timing in (load["advised_threads"] if load else [])
    ]
    if advised:
        lines.append(("threads", "advised for " + "; ".join(advised)))
    for check in load["wire"] if load else []:
        if check["first_difference"]:
            lines.append(("wire", f"{check['target']}: {check['first_difference']}"))
    return lines


def threads(timing: Mapping[str, Any]) -> str:
    """A setting in words."""
    if not timing["intra_op"] and not timing["inter_op"]:
        return "as TensorFlow takes them"
    return f"{timing['intra_op'] or 'default'} intra-op, {timing['inter_op'] or 'default'} inter-op"


def thread_rows(load: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """One row a batch size and setting, the advised one marked."""
    advised = load["advised_threads"] if load else []
    return [
        {**timing, "words": threads(timing), "advised": timing in advised}
        for timing in (load["threads"] if load else [])
    ]
