"""Why a stage would run: compares its identity with the nearest artifact in the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import plan
from .config import flatten
from .plan import Step
from .store import Store


def explain(
    step: Step, store: Store, rerun: frozenset[str], fingerprints: Mapping[str, str]
) -> str | None:
    """One line: what differs from what is stored; None when the artifact can be reused.

    `rerun` names the earlier stages of the same plan that will run, `fingerprints` are of the
    artifacts of the others.
    """
    found = store.manifest(step.stage.name, step.key)
    if found is not None:
        anew = sorted(rerun & set(step.makers)) if step.stage.of_measurements else []
        if anew:
            return f"its input is made anew: {', '.join(anew)}"
        outdated = plan.outdated(step, found.made_of, fingerprints)
        return "its input was made anew since" if outdated else None
    stored = tuple(store.manifests(step.stage.name))
    for manifest in stored:
        if manifest.key == step.key:
            flaw = store.flaw(manifest)
            return f"the stored artifact is damaged: {flaw or 'of another format'}"
    latest = sorted(stored, key=lambda manifest: manifest.created, reverse=True)
    nearest = min((_differences(step.identity, m.identity) for m in latest), key=len, default=None)
    upstream = sorted(rerun & set(step.makers))
    if nearest is None:
        return "never made under this root"
    if nearest:
        more = f" and {len(nearest) - 3} more" if len(nearest) > 3 else ""
        return "changed: " + "; ".join(nearest[:3]) + more
    if upstream:
        return f"its input changes: {', '.join(upstream)}"
    return "made by another version of the stage, or from other inputs"


def _differences(new: Any, old: Any) -> list[str]:
    """`path: old -> new` for every leaf that differs."""
    was, now = dict(flatten(old)), dict(flatten(new))
    lines = []
    for path in sorted(was.keys() | now.keys()):
        if was.get(path, "unset") != now.get(path, "unset"):
            name = path.removeprefix("config.")
            before, after = was.get(path, "unset"), now.get(path, "unset")
            lines.append(f"{name}: {_short(before)} -> {_short(after)}")
    return lines


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:21] + "..."
