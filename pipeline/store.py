"""Content-addressed artifacts: <root>/<stage>/<key>/, done when its manifest is there.

The manifest is written last and at once. A folder without one is debris of a run that did not
finish, and is cleared by the next. One writer a key: a second run waits and then reuses.
`remote_store` keeps the same in a bucket.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from ..components import files

MANIFEST = "manifest.json"
EVENTS = "events.jsonl"  # in the folder of a run
PREFLIGHTS = "preflight-*.json"  # there too: of the config, not of one run
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """One file of an artifact."""

    path: str  # relative to the artifact, with forward slashes
    size_bytes: int
    sha256: str | None  # None: workers wrote it straight into the bucket
    checksum: str | None = None  # then this: what the bucket says of its content


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an artifact is, and what it was made from."""

    format: int
    stage: str
    key: str
    stage_version: int
    created: str  # UTC, ISO 8601
    seconds: float  # that the stage took
    inputs: dict[str, str | dict[str, str]]  # field of Inputs -> key, or variant -> key
    identity: Any  # what the key was made from, for people
    versions: dict[str, str]  # libraries that made it
    machine: dict[str, str]  # that it was made on
    warnings: tuple[str, ...]  # of the stage: they hold for whoever reuses it, too
    files: tuple[StoredFile, ...]
    output: Any  # the contract record; its uri is "."
    # As inputs, the `fingerprint` of each: of which of those that ever had its key.
    made_of: dict[str, str | dict[str, str]] | None = None  # None: not told


def at(root: str | Path) -> Store:
    """The store of a folder, or of a bucket.

    Raises:
        ValueError: the root is a URL of something else.
    """
    if files.is_remote(str(root)):
        if not str(root).startswith("gs://"):
            raise ValueError(
                f"--root: must be a folder or gs://bucket/folder; received {root}; mount other "
                "stores as a folder"
            )
        from .remote_store import RemoteStore

        return RemoteStore(str(root))
    return Store(root)


class Store:
    """The artifacts under one root folder."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()

    def prepare(self) -> None:
        """Makes the root, and raises `ValueError` where nothing can be written."""
        probe = self.root / f".probe-{os.getpid()}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ValueError(
                f"--root: must be a folder that can be written; received {self.root} "
                f"({error.strerror}); choose another with --root"
            ) from error

    def folder(self, stage: str, key: str) -> Path:
        """Where an artifact is or would be, on this machine."""
        return self.root / stage / key

    def shared(self, stage: str, key: str) -> str:
        """Where workers on other machines may write files of the artifact."""
        return str(self.folder(stage, key))

    def unfinished(self, stage: str, key: str) -> str:
        """Where a stage keeps what lets a later attempt go on; no part of the artifact."""
        return f"{self.shared(stage, key)}.unfinished"

    def manifest(self, stage: str, key: str) -> Manifest | None:
        """The manifest of a finished artifact whose files have their sizes; else None."""
        manifest = read_manifest(self.folder(stage, key) / MANIFEST)
        if manifest is None or manifest.format != FORMAT:
            return None
        return None if self.flaw(manifest) else manifest

    def manifests(self, stage: str) -> Iterator[Manifest]:
        """All finished artifacts of a stage, in order of key."""
        for path in sorted((self.root / stage).glob(f"*/{MANIFEST}")):
            manifest = read_manifest(path)
            if manifest is not None:
                yield manifest

    def flaw(self, manifest: Manifest) -> str | None:
        """What is wrong with an artifact, as far as sizes tell; None when all is there."""
        return damage(self.folder(manifest.stage, manifest.key), manifest)

    def read(self, manifest: Manifest, output: Any) -> Any:
        """The artifact as its contract record, `uri` set to where it stands on this machine."""
        return record(manifest, output, uri=str(self.folder(manifest.stage, manifest.key)))

    @contextmanager
    def writing(
        self, stage: str, key: str, *, on_wait: Callable[[], None] = lambda: None
    ) -> Iterator[Path]:
        """Holds the key for this process and gives the folder. The system frees it on a crash."""
        folder = self.folder(stage, key)
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait()
            lock.acquire()
        try:
            yield folder
        finally:
            lock.release()

    def clear(self, stage: str, key: str) -> Path:
        """An empty folder for a new attempt; call it inside `writing`. The manifest goes first."""
        folder = self.folder(stage, key)
        (folder / MANIFEST).unlink(missing_ok=True)
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        return folder

    def contents(self, stage: str, key: str) -> tuple[StoredFile, ...]:
        """What a stage left behind, in order of path."""
        return describe(self.folder(stage, key))

    def commit(self, manifest: Manifest) -> None:
        """Makes the artifact exist: its files flushed, then the manifest in one step."""
        folder = self.folder(manifest.stage, manifest.key)
        for file in manifest.files:
            files.flush(folder / file.path)
        write_text(folder / MANIFEST, manifest_json(manifest))
        files.remove_folder(self.unfinished(manifest.stage, manifest.key))

    def run_place(self, name: str) -> str:
        """Where people find the report of a run."""
        return str(self.root / name)

    def start_run(self, name: str) -> Path:
        """The folder on this machine for the report and the events of a run."""
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def withdraw_run(self, name: str) -> None:
        """Takes the published report of an earlier run away: here nothing is published."""

    def publish_run(self, name: str) -> None:
        """Brings the folder of a run to where people look for it: here it is there already."""


def record(manifest: Manifest, output: Any, *, uri: str) -> Any:
    """What a manifest tells of its artifact, as the contract record `output`."""
    return replace(_adapter(output).validate_json(json.dumps(manifest.output)), uri=uri)


def describe(folder: Path) -> tuple[StoredFile, ...]:
    """Every file below `folder` with size and sha256, in order of path."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        name = path.relative_to(folder).as_posix()
        found.append(StoredFile(path=name, size_bytes=path.stat().st_size, sha256=digest))
    return tuple(found)


def damage(folder: Path, manifest: Manifest) -> str | None:
    """What is wrong with the files of an artifact in a folder; None when all are there."""
    sizes: dict[str, int] = {}
    for file in manifest.files:
        with suppress(FileNotFoundError):
            sizes[file.path] = (folder / file.path).stat().st_size
    return compare_sizes(sizes, manifest)


def compare_sizes(sizes: Mapping[str, int], manifest: Manifest) -> str | None:
    """The first file that is missing from `sizes`, or has another one."""
    for file in manifest.files:
        size = sizes.get(file.path)
        if size is None:
            return f"{file.path} is missing"
        if size != file.size_bytes:
            return f"{file.path} has {size} bytes instead of {file.size_bytes}"
    return None


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_json(path: Path, value: Any) -> None:
    """Writes at once: readers see the old file or the whole new one."""
    write_text(path, _json(value))


def write_text(path: Path, text: str) -> None:
    """Writes at once: readers see the old file or the whole new one."""
    # A text may hold half a surrogate pair, which UTF-8 has no bytes for.
    files.write_bytes(str(path), text.encode("utf-8", errors="backslashreplace"))


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"


@cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def read_manifest(path: str | Path) -> Manifest | None:
    """None for a missing manifest or one that is not ours: both mean 'not done'."""
    try:
        return _adapter(Manifest).validate_json(files.read_bytes(str(path)))
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def fingerprint(manifest: Manifest) -> str:
    """Another one for each time that an artifact is made, unless nothing about it differs."""
    return hashlib.sha256(manifest_json(manifest).encode()).hexdigest()[:16]


def manifest_json(manifest: Manifest) -> str:
    """As it is stored."""
    return _json(asdict(manifest))
