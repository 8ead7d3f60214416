"""Answers requests of one model when told to: `python -m tpuline.components.load.threads_child`.

Standard input: a line of JSON, `folder` of the model and `rows` (list of [text] or [text,
text_pair]); then a line a request, its batch size and its number. `ready` comes back when the model
is loaded, and `answered` for each request.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ..serving import answering


def main() -> None:
    request = json.loads(sys.stdin.readline())
    model, rows = answering.load(Path(request["folder"])), request["rows"]
    print("ready", flush=True)
    for line in sys.stdin:
        size, number = map(int, line.split())
        batch = [rows[(number * size + i) % len(rows)] for i in range(size)]
        model.texts(list(zip(*batch, strict=True)))
        print("answered", flush=True)


if __name__ == "__main__":
    main()
