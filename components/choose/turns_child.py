"""JSON request on standard input -> JSON file: several models timed in turns, in a fresh process.

    python -m tpuline.components.choose.turns_child < request.json

One process holds all of them, as it holds what all need: so they differ by nothing but themselves.

Request: `folders` (of served models, by name), `rows` (list of [text] or [text, text_pair]),
`batch_sizes`, `settings` (fields of `turns.Turns`), `result_file`. The result is a list of pairs
for each name: batch size, and milliseconds of the requests that count. One line a batch size on
standard output.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ..serving import answering
from ..turns import Request, Turns, measure


def main() -> None:
    request = json.load(sys.stdin)
    models = {name: answering.load(Path(folder)) for name, folder in request["folders"].items()}
    settings, rows = Turns(**request["settings"]), request["rows"]
    found: dict[str, list[tuple[int, list[float]]]] = {name: [] for name in models}
    for size in request["batch_sizes"]:
        asked = {name: _request(model, rows, size) for name, model in models.items()}
        for name, samples in measure(asked, settings).items():
            found[name].append((size, samples))
        print(json.dumps({"batch_size": size}), flush=True)
    Path(request["result_file"]).write_text(json.dumps({"found": found}), encoding="utf-8")


def _request(model: answering.Answering, rows: list[list[str]], size: int) -> Request:
    def request(index: int) -> object:
        batch = [rows[(index * size + i) % len(rows)] for i in range(size)]
        return model.texts(list(zip(*batch, strict=True)))

    return request


if __name__ == "__main__":
    main()
