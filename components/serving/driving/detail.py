"""LoadGen's detail log -> what it found. Pure but for reading the file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "mlperf_log_detail.txt"
_MARK = ":::MLLOG "
_TOO_MANY = "ended early: more queries were waiting than p99 can keep the bound with"


@dataclass(frozen=True, kw_only=True)
class Found:
    """LoadGen's verdict on one run, and its percentiles by query; all else we count ourselves."""

    valid: bool  # early stopping included
    remarks: tuple[str, ...]  # why not
    too_short: bool  # it took less time than the least that was set
    ended_early: bool = False  # too many queries were waiting
    num_queries: int
    p50_ms: float
    p90_ms: float
    p99_ms: float


def read(folder: Path) -> Found:
    """Of the run that logged to `folder`."""
    return parse((folder / FILE).read_text(encoding="utf-8", errors="replace"))


def parse(text: str) -> Found:
    """Of the lines of the log; `ValueError` when they hold no result."""
    facts = dict(_facts(text))
    if "result_validity" not in facts:
        problem = "; ".join(_errors(text)) or "no result in its log"
        raise ValueError(f"load: LoadGen must end with a result; received {problem}; ask it again")
    ended_early = any("outstanding" in error for error in _errors(text))
    return Found(
        valid=facts["result_validity"] == "VALID" and not ended_early,
        remarks=(_TOO_MANY,) if ended_early else tuple(_remarks(facts)),
        ended_early=ended_early,
        too_short=not facts["result_min_duration_met"],
        num_queries=int(facts["result_query_count"]),
        p50_ms=_percentile_ms(facts, "50.00"),
        p90_ms=_percentile_ms(facts, "90.00"),
        p99_ms=_percentile_ms(facts, "99.00"),
    )


def _facts(text: str) -> list[tuple[str, Any]]:
    lines = (json.loads(line[len(_MARK) :]) for line in _marked(text))
    return [(line["key"], line["value"]) for line in lines]


def _errors(text: str) -> list[str]:
    lines = (json.loads(line[len(_MARK) :]) for line in _marked(text))
    return [str(line["value"]) for line in lines if line["metadata"].get("is_error")]


def _marked(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(_MARK)]


def _remarks(facts: dict[str, Any]) -> list[str]:
    """Why a run does not count, in LoadGen's words where it has some."""
    if facts["result_validity"] == "VALID":
        return []
    missed = {
        "result_min_duration_met": "ended before the least duration",
        "result_min_queries_met": "made fewer queries than the least number",
        "result_perf_constraints_met": "p99 is above the bound",
    }
    found = [words for key, words in missed.items() if facts.get(key) is False]
    if facts.get("early_stopping_met") is False:
        words = str(facts.get("early_stopping_result", "")).replace(" * ", " ").split()
        found.append(f"early stopping: {' '.join(words)}")
    return found


def _percentile_ms(facts: dict[str, Any], share: str) -> float:
    """By query where LoadGen tells both: a query of several texts ends with its last."""
    by_query = facts.get(f"result_{share}_percentile_per_query_latency_ns")
    nanoseconds = facts[f"result_{share}_percentile_latency_ns"] if by_query is None else by_query
    return float(nanoseconds) / 1e6
