"""Model folder, rows and targets -> load results, each target asked from a process of its own.

The process that asks holds nothing but what asking takes; in process, the model too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from ...child_process import ask_child
from ...contracts import LoadResult, WireCheck
from ...stage import Log
from ..agreement import Rule
from ..servers.starting import NotStarted, Servers
from ..targets import Target
from .kept import Kept, of_fields
from .settings import Settings


@dataclass(frozen=True, kw_only=True)
class Served:
    """What is served, and what is asked of it."""

    folder: Path  # <name>/<version>
    model: str  # its name on a server
    version: int  # the one that TensorFlow Serving is asked for
    rows: Sequence[tuple[str, ...]]  # (text,) or (text, text pair)
    labels: Sequence[str]  # of the rows, as the data has them
    rule: Rule  # which answers over a wire count as those in process
    compiled: bool = False  # for each shape of a batch, when it first comes up
    together: int = 0  # texts, up to which a Triton that is started here puts requests together


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Of all targets, in their order."""

    results: tuple[LoadResult, ...]
    wire: tuple[WireCheck, ...]  # of those that are not in process
    loadgen_version: str


def measure(
    served: Served,
    targets: Sequence[Target],
    settings: Settings,
    *,
    servers: Servers,
    kept: Kept,
    seed: int,
    log: Log,
) -> Measured:
    """Asks the model in process once for what it answers, then every target as `settings` say.

    Without scenarios only the answers are compared. Where they differ, that decides of servers that
    were started for this, and of running ones of TensorFlow Serving that have the version: any
    other may well serve another model. `servers` starts those without an address, and stops them.
    `kept` gets each result when it is there, and what it has is not measured again.

    Raises:
        ValueError: packages are missing, or a server cannot serve the model.
        NotStarted: a server did not start with the model; told when all others were asked.
        RuntimeError: a process failed; with the end of its output.
    """
    results: list[LoadResult] = []
    checks: list[WireCheck] = []
    missing: NotStarted | None = None
    alone = Target(server="in_process")
    own = settings if alone in targets else replace(settings, scenarios=())
    done = kept.of(alone.name) if alone in targets else ()
    in_process = _ask(served, alone, own, {}, done=done, kept=kept, pid=None, seed=seed, log=log)
    for target in targets:
        found = in_process
        if target != alone:
            try:
                place = servers.place(target, served.folder, served.model)
            except NotStarted as error:
                missing = missing or error
                log.warning(f"{target.name}: not asked, for its server did not start")
                continue
            done = kept.of(target.name)
            found = _ask(
                served,
                place.target,
                settings,
                in_process,
                done=done,
                kept=kept,
                name=target.name,
                pid=place.pid,
                seed=seed,
                log=log,
            )
            checks.append(_decided(WireCheck(**found["wire"]), target))
        results += [replace(of_fields(one), target=target.name) for one in found["results"]]
    if missing is not None:
        raise missing
    return Measured(
        results=tuple(results),
        wire=tuple(checks),
        loadgen_version=metadata.version("mlcommons-loadgen") if results else "",
    )


def _decided(check: WireCheck, target: Target) -> WireCheck:
    # Of running servers only TensorFlow Serving was asked for the version, and says if it has it.
    has_version = target.server == "tf_serving" and check.decides
    return replace(check, target=target.name, decides=not target.address or has_version)


def _ask(
    served: Served,
    target: Target,
    settings: Settings,
    in_process: Mapping[str, Any],  # what was found there; empty: it is to be
    *,
    done: Sequence[LoadResult],
    kept: Kept,
    name: str = "",  # of the target in the config; else its own
    pid: int | None,
    seed: int,
    log: Log,
) -> dict[str, Any]:
    request = {
        "target": asdict(target),
        "folder": str(served.folder),
        "model": served.model,
        "version": served.version,
        "settings": {name: getattr(settings, name) for name in Settings.__dataclass_fields__},
        "rows": served.rows,
        "labels": served.labels,
        "rule": asdict(served.rule),
        "answers": in_process.get("answers"),
        "compiled": served.compiled,
        "of_each_width": in_process.get("of_each_width"),
        "together": served.together if target.server == "triton" and pid is not None else 0,
        "done": [asdict(result) for result in done],
        "pid": pid,
        "seed": seed,
    }
    runs, name = 0, name or target.name

    def hear(line: str) -> None:
        nonlocal runs
        if line.startswith('{"result"'):
            kept.keep(replace(of_fields(json.loads(line)["result"]), target=name))
        if line.startswith('{"load"'):
            runs += 1
            log.progress(f"load, {target.name}", runs, None, json.loads(line)["load"])

    return ask_child(
        f"{__package__}.child",
        request,
        task=f"load, {target.name}",
        on_line=hear,
        # Without it TensorFlow takes a whole GPU, of which this process may hold a part.
        environ={**os.environ, "TF_FORCE_GPU_ALLOW_GROWTH": "true"},
    )
