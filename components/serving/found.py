"""A path -> the served model that lies there: its folder, its labels, a digest. No TensorFlow.

The one place that knows which kinds of folders hold a model: one that `answering.load` reads, the
artifact of export, which has it in a numbered folder, or a bundle, which is checked first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import bundle
from .answering import LABELS_FILE, MODEL_FILES

SAVED_MODEL_FILE = "saved_model.pb"
_MANIFEST = "manifest.json"  # of an artifact that is finished


@dataclass(frozen=True, kw_only=True)
class Found:
    """A served model."""

    folder: Path  # what `answering.load` takes
    labels: tuple[str, ...]  # by label id, without line breaks


def digest(folder: Path) -> str:
    """sha256 over names and contents of all files of a model: the same wherever it lies."""
    whole = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        whole.update(f"{file.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()


def find(path: Path, *, what: str) -> Found:
    """The model at `path`; `what` names the argument in errors.

    Raises:
        ValueError: there is none, there are several, or it does not tell its labels.
    """
    folder = model_folder(path, what=what)
    return Found(folder=folder, labels=_labels(folder, what))


def model_folder(path: Path, *, what: str) -> Path:
    """What `answering.load` takes; else as `find`, but for labels, which need not be told."""
    if not path.is_dir():
        raise ValueError(
            f"{what}: must be a folder with a served model; received {path}, which is no folder; "
            "look at the path"
        )
    if bundle.is_bundle(path):
        return bundle.read(path).model_dir
    folders = [folder for folder in _candidates(path) if _holds_model(folder)]
    if len(folders) != 1:
        names = ", ".join((SAVED_MODEL_FILE, *MODEL_FILES.values()))
        several = [str(folder.relative_to(path)) for folder in folders]
        received = f"{path} with {', '.join(several)}" if several else f"{path}, which holds none"
        if not several and any(map(_holds_model, path.glob("*/[0-9]*"))):
            received = f"{path}, of an export that did not finish"
        raise ValueError(
            f"{what}: must be a folder with one served model ({names}), or an artifact of export; "
            f"received {received}; name the numbered folder itself"
        )
    return folders[0]


def one_line(label: str) -> str:
    """The label as it stands in a file of one a line."""
    return " ".join(label.splitlines())


def _candidates(path: Path) -> Sequence[Path]:
    if _holds_model(path):
        return [path]
    inside = "*/[0-9]*" if (path / _MANIFEST).is_file() else "[0-9]*"  # <name>/<version>
    return sorted(path.glob(inside))


def _holds_model(folder: Path) -> bool:
    return any((folder / file).is_file() for file in (SAVED_MODEL_FILE, *MODEL_FILES.values()))


def _labels(folder: Path, what: str) -> tuple[str, ...]:
    for file in (folder / LABELS_FILE, folder / "assets" / LABELS_FILE):
        if file.is_file():
            return tuple(file.read_text(encoding="utf-8").split("\n")[:-1])
    raise ValueError(
        f"{what}: must tell its labels in {LABELS_FILE} or assets/{LABELS_FILE}, one a line; "
        f"received {folder} without either; export it with tpuline, or add the file"
    )
