"""What the user calls a model -> the folder that `answering.load` takes, and its digest."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import files
from ..serving import found
from ..serving.answering import LABELS_FILE, MODEL_FILES

_MANIFEST = "manifest.json"
_MODEL_FILES = ("saved_model.pb", *MODEL_FILES.values())
_LABELS = (LABELS_FILE, f"assets/{LABELS_FILE}")


def model_dir(path: str) -> str:
    """The folder of the model itself: `path`, or that in a bundle or an artifact of export.

    Raises:
        ValueError: there is no model, export did not finish, or the bundle was edited.
    """
    if not files.is_remote(path):
        return str(found.model_folder(Path(path).absolute(), what="MODEL"))
    inside = path if _holds_model(path) else _exported(path)
    if inside is None or not _holds_model(inside):
        raise ValueError(
            f"MODEL: must be a folder with one of {', '.join(_MODEL_FILES)}, or a finished "
            f"<root>/export/<key>; received {path}; a bundle is read from this machine only"
        )
    return inside


def model_digest(folder: str) -> str:
    """Of the names and contents of all files; of a bucket, of what it says of its contents."""
    whole = hashlib.sha256()
    for file in files.below(folder):
        content = files.checksum(file.path) if files.is_remote(folder) else _sha256(file.path)
        whole.update(f"{file.path.removeprefix(folder)}:{content}\n".encode())
    return whole.hexdigest()


def label_names(folder: str) -> tuple[str, ...]:
    """By label id, the order of probabilities; () where the folder does not tell."""
    for name in _LABELS:
        if files.exists(files.join(folder, name)):
            text = files.read_bytes(files.join(folder, name)).decode()
            return tuple(text.split("\n")[:-1])
    return ()


@contextmanager
def on_this_machine(folder: str) -> Iterator[Path]:
    """The folder, or a copy of one in a bucket that is gone at the end."""
    if not files.is_remote(folder):
        yield Path(folder)
        return
    with tempfile.TemporaryDirectory(prefix="tpuline-model-") as scratch:
        for file in files.below(folder):
            files.copy(file.path, str(Path(scratch) / file.path.removeprefix(folder).lstrip("/")))
        yield Path(scratch)


def _holds_model(folder: str) -> bool:
    return any(files.exists(files.join(folder, name)) for name in _MODEL_FILES)


def _exported(path: str) -> str | None:
    """Where an artifact of export in a bucket says that its model is."""
    try:
        manifest = json.loads(files.read_bytes(files.join(path, _MANIFEST)))
        name = manifest["output"]["saved_model_dir"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return files.join(path, name) if isinstance(name, str) else None


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
