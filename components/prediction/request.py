"""What an output folder is of: model, input and settings. Another one is refused there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import files
from ..reading import sources
from ..reading.source import InputFile, Source
from .config import Config
from .model_place import model_digest
from .shards import UNFINISHED

REQUEST_FILE = f"{UNFINISHED}/request.json"


@dataclass(frozen=True, kw_only=True)
class Request:
    """Digests in place of paths: the same files elsewhere are the same."""

    model: str
    input: str
    settings: dict[str, Any]


def make_request(
    config: Config,
    source: Source,
    model_dir: str,
    listed: Sequence[InputFile],
    data_dir: Path | str,
) -> Request:
    """Reads all of the model and of the input; of those in a bucket, only what it says of them."""
    names = json.dumps([file.name for file in listed])
    content = sources.digest(source, data_dir)["train"]
    return Request(
        model=model_digest(model_dir),
        input=hashlib.sha256(f"{names}\n{content}".encode()).hexdigest(),
        settings=json.loads(json.dumps(config.decides())),  # lists for tuples
    )


def claim(request: Request, output: str) -> None:
    """Writes down in the folder what it is of.

    Raises:
        ValueError: it is of something else.
    """
    path = files.join(output, REQUEST_FILE)
    try:
        stored = json.loads(files.read_bytes(path))
    except FileNotFoundError:
        _check_unused(output)
        files.write_bytes(path, json.dumps(asdict(request), indent=2).encode())
        return
    check_same(stored, request, output)


def check_same(stored: dict[str, Any], request: Request, output: str) -> None:
    """`ValueError` where a folder is of another request; says what is another."""
    wanted = asdict(request)
    differing = [f"another {name}" for name in ("model", "input") if stored[name] != wanted[name]]
    settings = stored["settings"]
    differing += [
        f"{name}: {settings.get(name)} (now {value})"
        for name, value in wanted["settings"].items()
        if settings.get(name) != value
    ]
    if differing:
        raise ValueError(
            f"--output: must be a new folder, or one of the same model, input and settings; "
            f"received {output}, which is of {', '.join(differing)}; name another folder"
        )


def _check_unused(output: str) -> None:
    for file in files.below(output):
        raise ValueError(
            f"--output: must be a new folder, or one that predict began; received {output}, which "
            f"holds {file.path.removeprefix(output).lstrip('/')}; name another folder"
        )
