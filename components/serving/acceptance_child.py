"""JSON request on standard input -> JSON file: what a fresh process finds about a bundle.

    python -m tpuline.components.serving.acceptance_child < request.json

Request: `bundle` (its folder), `fingerprint`, `result_file`.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from . import acceptance, bundle, targets


def main() -> None:
    request = json.load(sys.stdin)
    opened = bundle.read(request["bundle"], fingerprint=request["fingerprint"])
    with ExitStack() as stack:
        target = targets.parse(targets.IN_PROCESS)
        checks = [asdict(check) for check in acceptance.examine(opened, target, stack)]
    Path(request["result_file"]).write_text(json.dumps({"checks": checks}), encoding="utf-8")


if __name__ == "__main__":
    main()
