"""The section `load` of report.json -> rows of a table and lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..components.load_records import STEADY

SCENARIOS = {
    "single_stream": "one text after the other",
    "multi_stream": "eight texts a query",
    "server": "texts at random moments",
    "offline": "all at once",
}


def rows(load: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """One row a target and scenario: the median run, and the spread of repeats.

    Of repeats the one in the middle by texts a second is shown; `low` and `high` are those at the
    ends. `spread`, of the rates that repeats found, is None where there are not two that count.
    """
    found = []
    for same in _together(load["results"] if load else []):
        ordered = sorted(same, key=lambda result: result["texts_per_s"])
        middle = ordered[(len(ordered) - 1) // 2]
        spread = None
        if load and middle["scenario"] == "server":
            spread = load["rate_spreads"].get(middle["target"])
        found.append(
            {
                **middle,
                "low": ordered[0]["texts_per_s"],
                "high": ordered[-1]["texts_per_s"],
                "num_repeats": len(ordered),
                "valid": all(result["valid"] for result in ordered),
                "num_failed": sum(result["num_failed"] for result in ordered),
                "num_changed": sum(result["num_changed"] for result in ordered),
                "words": SCENARIOS[middle["scenario"]],
                "spread": spread,
                "unsteady": spread is not None and spread > STEADY,
            }
        )
    return found


def summary(load: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Lines for a terminal: name and fact."""
    lines = []
    for row in rows(load):
        speed = f"{row['texts_per_s']:,.0f} texts/s"
        if row["num_repeats"] > 1:
            speed += f" ({row['low']:,.0f} to {row['high']:,.0f} in {row['num_repeats']})"
        facts = [f"{row['target']} {row['scenario']}: {speed}"]
        if row["scenario"] != "offline":
            facts.append(f"p50 {row['p50_ms']:.3g}, p99 {row['p99_ms']:.3g} ms")
        if row["spread"] is not None:
            much = ", too much to rely on" if row["unsteady"] else ""
            facts.append(f"rates found differ by {row['spread']:.0%}{much}")
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


def _together(results: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Results of one target and scenario, in the order of their first."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for result in results:
        groups.setdefault((result["target"], result["scenario"]), []).append(result)
    return list(groups.values())
