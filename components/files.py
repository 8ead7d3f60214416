"""Files by their path as text: on this machine, or in an object store (`gs://`) through Beam.

Local paths need the standard library only. Whatever is written appears under its name only when it
is whole and on the disk, so that half-written output is never taken for done, not after a power cut
either, and two attempts never mix.
"""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, BinaryIO

COPY_BYTES = 1 << 20
_MAGIC = re.compile(r"[*?[]")


@dataclass(frozen=True, kw_only=True)
class FileInfo:
    """One file as a listing shows it."""

    path: str
    size_bytes: int


def cache_folder() -> Path:
    """What this machine keeps to have it sooner the next time; anybody may delete it.

    Raises:
        RuntimeError: the user has no home, and `TPULINE_CACHE` names no folder.
    """
    return Path(os.environ.get("TPULINE_CACHE") or Path.home() / ".cache" / "tpuline")


def is_remote(path: str) -> bool:
    """Whether it lies in an object store rather than on this machine."""
    return "://" in path


def join(folder: str, *names: str) -> str:
    """The path of what is below `folder`."""
    return "/".join([folder.rstrip("/"), *names])


@contextmanager
def reading(path: str) -> Iterator[BinaryIO]:
    """The bytes of a file, as they are stored.

    Raises:
        OSError: there is none, or it cannot be read.
    """
    with _open_remote(path) if is_remote(path) else open(path, "rb") as file:
        yield file


@contextmanager
def appearing(path: str) -> Iterator[Path]:
    """A local name to write to; the file gets its own when the block ends well, else vanishes."""
    if is_remote(path):
        with tempfile.TemporaryDirectory() as folder:
            draft = Path(folder) / "draft"
            yield draft
            _upload(draft, path)
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        yield draft
        flush(draft)
        os.replace(draft, target)
        flush(target.parent)
    finally:
        draft.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """The content of a file, or the names in a folder, to the disk: a new name may get there before
    what it stands for."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # of a folder: some network file systems know no such thing
        if error.errno not in (errno.EINVAL, errno.EBADF) or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def read_bytes(path: str) -> bytes:
    """All of a file; errors as of `reading`."""
    with reading(path) as file:
        return file.read()


def write_bytes(path: str, content: bytes) -> None:
    """A whole file at once."""
    with appearing(path) as draft:
        draft.write_bytes(content)


def copy(source: str, target: str) -> None:
    """One file, from anywhere to anywhere."""
    with reading(source) as reader, appearing(target) as draft, draft.open("wb") as writer:
        shutil.copyfileobj(reader, writer, COPY_BYTES)


def exists(path: str) -> bool:
    """Whether there is a file of this name."""
    if not is_remote(path):
        return os.path.isfile(path)
    with _in_our_words(path):
        return bool(_filesystems(path).exists(path))


def matches(pattern: str) -> tuple[FileInfo, ...]:
    """The files that a path or glob names, sorted by path; `**` crosses folders. Hidden ones, and
    those in hidden folders, only where the pattern says so. `glob.escape` takes a part literally.
    """
    if is_remote(pattern):
        parts = pattern.split("/")
        return tuple(info for info in _listed(pattern) if _fits(info.path.split("/"), parts))
    found = sorted({path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)})
    return tuple(FileInfo(path=path, size_bytes=os.path.getsize(path)) for path in found)


def below(folder: str) -> tuple[FileInfo, ...]:
    """Every file below `folder`, sorted by path; none when there is no such folder."""
    if is_remote(folder):
        top = join(folder, "")
        everything = _listed(f"{glob.escape(top)}**")
        return tuple(info for info in everything if info.path.startswith(top))
    found = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return tuple(FileInfo(path=str(path), size_bytes=path.stat().st_size) for path in found)


def checksum(path: str) -> str:
    """What the store says of the content of a remote file; changes when the content does."""
    with _in_our_words(path):
        return str(_filesystems(path).checksum(path))


def remove(path: str) -> None:
    """One file, if it is there."""
    if not is_remote(path):
        Path(path).unlink(missing_ok=True)
    elif exists(path):
        with _in_our_words(path):
            _filesystems(path).delete([path])


def remove_folder(folder: str) -> None:
    """Everything below `folder`, if there is anything."""
    if not is_remote(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    with _in_our_words(folder):
        # The slash: one request for a hundred files, failures only logged.
        _filesystems(folder).delete([join(folder, "")])
    left = below(folder)
    if left:
        raise OSError(f"{left[0].path}: cannot be removed; may the credentials in use delete?")


def _listed(pattern: str) -> Iterator[FileInfo]:
    """Remote files, sorted by path: the one of that name, or all that begin as a glob does.

    Beam's own globs know neither hidden files nor a way to take a character literally.
    """
    start = _MAGIC.split(pattern, maxsplit=1)[0]
    with _in_our_words(pattern):
        (result,) = _filesystems(pattern).match([pattern if start == pattern else f"{start}**"])
    for file in sorted(result.metadata_list, key=lambda file: file.path):
        if not file.path.endswith("/"):  # consoles make such objects to show an empty folder
            yield FileInfo(path=file.path, size_bytes=file.size_in_bytes)


def _fits(names: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether a glob names a path, both split at slashes, by the rules of `glob.glob`."""
    if not names or not parts:
        return not names and not parts
    (name, *deeper), (part, *rest) = names, parts
    in_sight = part.startswith(".") or not name.startswith(".")
    if part == "**":
        return _fits(names, rest or ["*"]) or (in_sight and _fits(deeper, parts))
    return in_sight and fnmatchcase(name, part) and _fits(deeper, rest)


def _open_remote(path: str) -> Any:
    from apache_beam.io.filesystem import CompressionTypes

    with _in_our_words(path):
        return _filesystems(path).open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def _upload(draft: Path, path: str) -> None:
    """An object appears when its upload is complete, and not before."""
    from apache_beam.io.filesystem import CompressionTypes

    with _in_our_words(path):
        writer = _filesystems(path).create(path, compression_type=CompressionTypes.UNCOMPRESSED)
        try:
            with writer, draft.open("rb") as reader:
                shutil.copyfileobj(reader, writer, COPY_BYTES)
        except BaseException:
            if hasattr(writer, "terminate"):  # else its finaliser tries to complete the upload
                writer.terminate()
            raise


@contextmanager
def _in_our_words(path: str) -> Iterator[None]:
    """What Beam, the store's client or its log-in raise, as `OSError`; they share no base class."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _LIBRARIES:
            raise
        status = _http_status(error)
        if status == 404:
            raise FileNotFoundError(f"{path}: there is no such file or bucket") from error
        if status in (401, 403):
            raise PermissionError(
                f"{path}: the credentials in use may not do this ({status}); grant them access to "
                "the bucket, or log in with gcloud auth application-default login"
            ) from error
        raise OSError(f"{path}: {type(error).__name__}: {error}") from error


_LIBRARIES = ("apache_beam", "google", "requests", "urllib3", "boto3", "botocore")


def _http_status(error: BaseException) -> int | None:
    """Of the answer that an error tells of; Beam wraps one in the other."""
    code = getattr(error, "code", None)
    code = getattr(getattr(error, "response", None), "status_code", code)
    if isinstance(code, int):
        return int(code)
    wrapped = getattr(error, "exception_details", None) or {}
    causes = (cause for cause in wrapped.values() if isinstance(cause, BaseException))
    return next((status for status in map(_http_status, causes) if status is not None), None)


def _filesystems(path: str) -> Any:
    from apache_beam.io.filesystems import FileSystems

    try:
        FileSystems.get_filesystem(path)
    except ValueError as error:
        scheme = path.partition("://")[0]
        extra = {"gs": "tpuline[gcp]", "s3": "apache-beam[aws]"}.get(scheme)
        install = f"pip install '{extra}'" if extra else "use gs:// or a local folder"
        raise ValueError(
            f"{path}: must be on a file system that Beam can open here; received {scheme}://; "
            f"{install}"
        ) from error
    return FileSystems
