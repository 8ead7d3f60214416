"""JSON request on standard input -> JSON file: a target asked as LoadGen says, in a fresh process.

    python -m tpuline.components.serving.driving.child < request.json

Request: `target` (fields of `targets.Target`), `folder`, `model` and `version` (where the model
lies, its name on a server, and which one TensorFlow Serving is asked for), `settings` (fields of
`Settings`), `rows` and `labels` (of the data), `pid` (of the server; null where it is not known),
`seed`, `rule` (fields of `agreement.Rule`), `answers` (of `wire.Answers`, as `{"labels", "scores",
"probabilities"}`, or null: they are made here, in process), `compiled` (whether the model is, for
each shape), `of_each_width` (of `loadgen.Rows`; null as `answers` are), `together` (up to how many
texts the server puts requests together), `done` (results of an earlier attempt, not to be measured
again), `result_file`.
Progress goes to standard output, one JSON line a run of LoadGen, and one a result that is finished.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from .. import wire
from ..agreement import Rule
from ..answering import num_threads
from ..clients import tf_serving
from ..targets import IN_PROCESS, Asked, InProcess, Target, connect
from .kept import of_fields
from .loadgen import Rows, imported
from .scenarios import measure
from .settings import Settings
from .warming import of_each_width


def main() -> None:
    request = json.load(sys.stdin)
    settings = _settings(request["settings"])
    target = Target(**request["target"])
    rows = tuple(tuple(row) for row in request["rows"])
    if settings.scenarios:
        imported()  # before minutes are spent
    folder, name, version = Path(request["folder"]), request["model"], request["version"]
    with connect(target, folder=folder, model=name, version=version) as client:
        expected, check = _answers(client, target, rows, request)
        widths = _widths(client, rows, request)
        asked = Rows(
            texts=rows,
            labels=tuple(label.encode() for label in request["labels"]),
            answers=expected.labels[-len(rows) :],
            of_each_width=widths,
        )
        results = _measure(client, target, asked, settings, request)
    result = {
        "answers": _plain(expected),
        "of_each_width": widths,
        "wire": None if check is None else asdict(check),
        "results": [asdict(one) for one in results],
    }
    Path(request["result_file"]).write_text(json.dumps(result), encoding="utf-8")


def _answers(
    client: Asked, target: Target, rows: Sequence[tuple[str, ...]], request: dict[str, Any]
) -> tuple[wire.Answers, Any]:
    """Those in process, and how the target's compare with them."""
    asked = wire.texts_to_ask(rows)
    given = request["answers"]
    if given is None:
        return wire.ask(client, asked), None
    expected = wire.Answers(
        rows=asked,
        labels=tuple(label.encode() for label in given["labels"]),
        scores=tuple(given["scores"]),
        probabilities=tuple(map(tuple, given["probabilities"])),
    )
    if target.server == IN_PROCESS:
        return expected, None
    rule = Rule(**request["rule"])
    check = wire.check(client, expected, target=target.name, rule=rule)
    if isinstance(client, tf_serving.OverHttp | tf_serving.OverGrpc) and not check.num_answered:
        # Without the version there, that nothing was answered is no fault of this model.
        check = replace(check, decides=client.has_version())
    return expected, check


def _widths(
    client: Asked, rows: Sequence[tuple[str, ...]], request: dict[str, Any]
) -> tuple[tuple[int, int], ...]:
    """See `loadgen.Rows`."""
    if not request["compiled"]:
        return ()
    if isinstance(client, InProcess):
        return tuple(of_each_width(client.token_ids, rows))
    return tuple(map(tuple, request["of_each_width"]))


def _measure(
    client: Asked,
    target: Target,
    rows: Rows,
    settings: Settings,
    request: dict[str, Any],
) -> list[Any]:
    if not settings.scenarios:
        return []
    in_process = target.server == IN_PROCESS
    in_flight = settings.max_in_flight
    done = [of_fields(one) for one in request["done"]]
    found = []
    for result in measure(
        client,
        rows,
        settings,
        target=target.name,
        pid=os.getpid() if in_process else request["pid"],
        num_threads=min(in_flight, num_threads()) if in_process else in_flight,
        seed=request["seed"],
        tell=lambda what: print(json.dumps({"load": what}), flush=True),
        together=request["together"],
        done=done,
    ):
        found.append(result)
        if result not in done:
            print(json.dumps({"result": asdict(result)}), flush=True)
    return found


def _plain(answers: wire.Answers) -> dict[str, Any]:
    return {
        "labels": [label.decode() for label in answers.labels],
        "scores": answers.scores,
        "probabilities": answers.probabilities,
    }


def _settings(fields: dict[str, Any]) -> Settings:
    return Settings(**{**fields, "scenarios": tuple(fields["scenarios"])})


if __name__ == "__main__":
    main()
