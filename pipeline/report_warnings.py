"""Warnings of a run for people: what is said of several variants is told once. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def lines(document: Mapping[str, Any]) -> list[str]:
    """`document` is report.json. Of warnings of variants that differ in numbers only the first is
    told, that of the model as trained where there is one, and which variants have the like.
    """
    variants = document["config"].get("optimize", {}).get("variants") or {}
    shown: list[str] = []
    place: dict[str, int] = {}  # in `shown`, by what is said
    others: dict[int, list[str]] = {}
    for warning in document["warnings"]:
        name, _, rest = warning.partition(": ")
        said = re.sub(r"\d+", "#", rest if name in variants else warning)
        if name in variants and said in place:
            others.setdefault(place[said], []).append(name)
        else:
            place[said] = len(shown)
            shown.append(warning)
    return [
        f"{line}; the like of {', '.join(others[i])}" if i in others else line
        for i, line in enumerate(shown)
    ]
