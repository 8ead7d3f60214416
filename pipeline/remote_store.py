"""The store in a bucket: stages work in a folder of this machine, which is also the cache.

    gs://bucket/runs/<stage>/<key>/                   the artifact; its manifest is uploaded last
    ~/.cache/tpuline/<hash of root>/<stage>/<key>/    work folder, and what was downloaded

A file appears in either place only when it is whole. The lock of a key holds on this machine only:
two machines that make the same artifact at once both do the work, and the later manifest counts;
where their bytes differ, whoever downloads the other's is told by the sha256.
"""

from __future__ import annotations

import base64
import glob
import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ..components import files
from .store import (
    EVENTS,
    FORMAT,
    MANIFEST,
    PREFLIGHTS,
    Manifest,
    Store,
    StoredFile,
    compare_sizes,
    damage,
    describe,
    manifest_json,
    read_manifest,
    write_text,
)

NUM_TRANSFERS = 8
"""Files on their way at the same time."""


def _stays(file: str) -> bool:
    """Whether a file in the folder of a run is not that run's own."""
    return file == EVENTS or fnmatch(file, PREFLIGHTS)


class RemoteStore(Store):
    """The artifacts under one URL."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        name = hashlib.sha256(self.url.encode()).hexdigest()[:16]
        super().__init__(files.cache_folder() / name)

    def prepare(self) -> None:
        """Raises `ValueError` where the cache or the bucket cannot be written."""
        super().prepare()
        probe = files.join(self.url, f".probe-{uuid.uuid4().hex}")
        try:
            files.write_bytes(probe, b"1")
            files.remove(probe)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"--root: must be a folder in a bucket that can be written; received {self.url}; "
                f"{error}"
            ) from error

    def shared(self, stage: str, key: str) -> str:
        return files.join(self.url, stage, key)

    def manifest(self, stage: str, key: str) -> Manifest | None:
        manifest = read_manifest(files.join(self.shared(stage, key), MANIFEST))
        if manifest is None or manifest.format != FORMAT:
            return None
        return None if self.flaw(manifest) else manifest

    def manifests(self, stage: str) -> Iterator[Manifest]:
        for info in files.matches(files.join(glob.escape(self.url), stage, "*", MANIFEST)):
            manifest = read_manifest(info.path)
            if manifest is not None:
                yield manifest

    def flaw(self, manifest: Manifest) -> str | None:
        return compare_sizes(self._sizes(manifest.stage, manifest.key), manifest)

    def read(self, manifest: Manifest, output: Any) -> Any:
        """The record of an artifact, once all its files are on this machine.

        Raises:
            OSError: a file in the bucket is not the one that the manifest tells of.
        """
        folder = self.folder(manifest.stage, manifest.key)
        if not _is_noted(folder, manifest) or damage(folder, manifest):
            self._download(manifest)
        return super().read(manifest, output)

    def clear(self, stage: str, key: str) -> Path:
        place = self.shared(stage, key)
        files.remove(files.join(place, MANIFEST))
        files.remove_folder(place)
        return super().clear(stage, key)

    def contents(self, stage: str, key: str) -> tuple[StoredFile, ...]:
        """What is in the work folder, and what workers wrote into the bucket besides."""
        place, found = self.shared(stage, key), describe(self.folder(stage, key))
        here = {file.path for file in found}

        def written_there(name: str, size: int) -> StoredFile:
            told = files.checksum(files.join(place, name))
            return StoredFile(path=name, size_bytes=size, sha256=None, checksum=told)

        there = {n: size for n, size in self._sizes(stage, key).items() if n not in here}
        listed = _all(there.items(), lambda item: written_there(*item))
        return tuple(sorted((*found, *listed), key=lambda file: file.path))

    def commit(self, manifest: Manifest) -> None:
        """Uploads the files of the work folder, looks that all are there, then the manifest."""
        place, folder = self.shared(manifest.stage, manifest.key), self._folder_of(manifest)
        made_here = [file.path for file in manifest.files if file.sha256 is not None]
        _all(made_here, lambda name: files.copy(str(folder / name), files.join(place, name)))
        flaw = self.flaw(manifest)
        if flaw is not None:
            raise OSError(f"{place}: {flaw} after the upload; run the same command again")
        text = manifest_json(manifest)
        files.write_bytes(files.join(place, MANIFEST), text.encode())
        write_text(folder / MANIFEST, text)
        files.remove_folder(self.unfinished(manifest.stage, manifest.key))

    def run_place(self, name: str) -> str:
        return files.join(self.url, name)

    def start_run(self, name: str) -> Path:
        """Fetches the events of earlier runs, for new ones are appended and the file is uploaded
        whole, and what a preflight left, which the report of this run looks at.
        """
        folder = super().start_run(name)
        for info in files.below(self.run_place(name)):
            file = info.path.rpartition("/")[2]
            if _stays(file):
                files.copy(info.path, str(folder / file))
        return folder

    def withdraw_run(self, name: str) -> None:
        """Not the bundle, a folder in there: it stays until this run says yes or no."""
        place = self.run_place(name)
        for info in files.below(place):
            file = info.path.removeprefix(f"{place}/")
            if "/" not in file and not _stays(file):
                files.remove(info.path)

    def publish_run(self, name: str) -> None:
        for path in sorted((self.root / name).iterdir()):
            files.copy(str(path), files.join(self.run_place(name), path.name))

    def _folder_of(self, manifest: Manifest) -> Path:
        return self.folder(manifest.stage, manifest.key)

    def _sizes(self, stage: str, key: str) -> dict[str, int]:
        """Bytes of each file of an artifact in the bucket, its manifest aside."""
        place = self.shared(stage, key) + "/"
        found = {f.path.removeprefix(place): f.size_bytes for f in files.below(place)}
        found.pop(MANIFEST, None)
        return found

    def _download(self, manifest: Manifest) -> None:
        """Brings what this machine lacks. What is there counts when its content is right."""
        place, folder = self.shared(manifest.stage, manifest.key), self._folder_of(manifest)
        (folder / MANIFEST).unlink(missing_ok=True)

        def bring(file: StoredFile) -> None:
            target = folder / file.path
            if target.is_file() and _is(target, file):
                return
            with files.appearing(str(target)) as draft:
                files.copy(files.join(place, file.path), str(draft))
                if not _is(draft, file):
                    raise OSError(
                        f"{place}/{file.path}: is not what was stored under this name; remove "
                        f"{place}/{MANIFEST} and run again"
                    )

        _all(manifest.files, bring)
        write_text(folder / MANIFEST, manifest_json(manifest))


def _is_noted(folder: Path, manifest: Manifest) -> bool:
    """Whether all that a folder of the cache holds was once verified to be this artifact."""
    with suppress(FileNotFoundError):
        return (folder / MANIFEST).read_text(encoding="utf-8") == manifest_json(manifest)
    return False


def _is(path: Path, file: StoredFile) -> bool:
    """Whether a file on this machine has the size and the content that the manifest tells."""
    if path.stat().st_size != file.size_bytes:
        return False
    with path.open("rb") as handle:
        if file.sha256 is not None:
            return hashlib.file_digest(handle, "sha256").hexdigest() == file.sha256
        return _crc32c(handle) == file.checksum


def _crc32c(handle: Any) -> str:
    """As Google Cloud Storage tells it: base64 of the four bytes."""
    import google_crc32c

    crc = google_crc32c.Checksum()
    for _ in crc.consume(handle, files.COPY_BYTES):
        pass
    return base64.b64encode(crc.digest()).decode()


def _all(items: Iterable[Any], work: Callable[[Any], Any]) -> list[Any]:
    """The results of `work`, several at a time; the first error ends it."""
    with ThreadPoolExecutor(NUM_TRANSFERS) as pool:
        return list(pool.map(work, items))
