"""Configured paths and globs -> files, here or in a bucket; what is near when nothing matches."""

from __future__ import annotations

import difflib
import functools
import glob
import os
from collections.abc import Sequence
from pathlib import Path

from .. import files
from ..files import FileInfo
from .bigquery_source import bigquery_table
from .decompress import NAMES
from .source import BIGQUERY, SAMPLE, TFDS, Compression, Format, InputFile, Source
from .tfds_source import tfds_file

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
}
_PACKED: dict[str, Compression] = {".gz": "gz", ".bz2": "bz2", ".zst": "zst"}
_TEXT = ".txt"
MAX_SHOWN = 5  # names in a message


def list_files(source: Source, split: str, data_dir: Path | str) -> tuple[InputFile, ...]:
    """What `split` is read from, sorted by name, nothing twice; empty when it is cut from train.

    `ValueError` for a place that matches no file.
    """
    found: dict[tuple[str, str], InputFile] = {}
    root = str(data_dir)
    root = root if files.is_remote(root) else str(Path(root))
    for place in source.places(split):
        for file in _files(source, place, split, root):
            found.setdefault(identity(file), file)
    return tuple(sorted(found.values(), key=lambda file: file.name))


def identity(file: InputFile) -> tuple[str, str]:
    """Equal for the same rows reached by two names."""
    if file.format in ("sample", "bigquery") or files.is_remote(file.path):
        return file.path, file.tfds_split
    folder, name = os.path.split(file.path)
    real = os.path.join(_real_folder(folder), name)  # thousands of files share one folder
    return os.path.realpath(real) if os.path.islink(real) else real, file.tfds_split


@functools.lru_cache(maxsize=1024)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def local_places(source: Source, split: str, data_dir: Path | str) -> tuple[str, ...]:
    """The places of `split` that are read from a disk of this machine."""
    return tuple(
        place
        for place in source.places(split)
        if place.startswith(TFDS)
        or not (place.startswith((SAMPLE, BIGQUERY)) or _is_remote(place, data_dir))
    )


def _is_remote(place: str, data_dir: Path | str) -> bool:
    return files.is_remote(_located(place, str(data_dir)))


def _files(source: Source, place: str, split: str, data_dir: str) -> list[InputFile]:
    if place.startswith(SAMPLE):
        path = place.removeprefix(SAMPLE)
        return [InputFile(split=split, name=place, path=path, format="sample")]
    if place.startswith(TFDS):
        return [tfds_file(place, split, data_dir)]
    if place.startswith(BIGQUERY):
        return [bigquery_table(place, split)]
    return [_input_file(source, split, info, data_dir) for info in _matches(place, split, data_dir)]


def _matches(place: str, split: str, data_dir: str) -> tuple[FileInfo, ...]:
    """The regular files that a path or glob names; a local one of exactly that name goes first."""
    field = f"preprocess.source.{split}"
    exact = _located(place, data_dir)
    pattern = _located(place, glob.escape(data_dir))  # the magic of glob stays out of data_dir
    if files.is_remote(exact):
        try:
            return files.matches(pattern) or _refuse(field, place, exact)
        except OSError as error:
            raise ValueError(
                f"{field}: must be in a bucket that can be listed; received {exact!r}: {error}; "
                "check its name, the connection and your rights"
            ) from error
    if os.path.isfile(exact):
        return (FileInfo(path=exact, size_bytes=os.path.getsize(exact)),)
    if not files.is_remote(data_dir) and not os.path.isdir(data_dir):
        raise ValueError(
            f"data_dir: must be an existing folder, taken from the working folder; received "
            f"{data_dir!r} in {Path.cwd()}; set it to where {place!r} is"
        )
    return files.matches(pattern) or _refuse(field, place, exact)


def _located(place: str, data_dir: str) -> str:
    """The path or pattern of a place: absolute ones win over `data_dir`."""
    if files.is_remote(place):
        return place
    expanded = Path(place).expanduser()
    if files.is_remote(data_dir) and not expanded.is_absolute():
        return files.join(data_dir, expanded.as_posix())
    return str(Path(data_dir) / expanded)


def _input_file(source: Source, split: str, info: FileInfo, data_dir: str) -> InputFile:
    name = _shown_name(info.path, data_dir)
    stem, last = os.path.splitext(os.path.basename(info.path).lower())
    compression = _PACKED.get(last, "")
    kind = os.path.splitext(stem)[1] if compression else last
    field = f"preprocess.source.{split}"
    format_ = _SUFFIXES.get(kind) if source.format == "auto" else source.format
    if format_ is None and kind == _TEXT:
        raise ValueError(
            f"preprocess.source.format: must be given for {_TEXT} files; received {name!r}; set "
            "preprocess.source.format: text (the file is a document) or lines (each line is one)"
        )
    if format_ is None:
        raise ValueError(
            f"{field}: must be files ending in {', '.join(_SUFFIXES)} (text also with "
            f"{', '.join(_PACKED)}); received {name!r}; set preprocess.source.format to say what "
            "it is"
        )
    if format_ in ("parquet", "arrow") and compression:
        raise ValueError(
            f"{field}: {format_.capitalize()} must not be {NAMES[compression]}-compressed as a "
            f"file; received {name!r}; unpack it, {format_.capitalize()} compresses inside"
        )
    return InputFile(
        split=split,
        name=name,
        path=info.path,
        format=format_,
        compression=compression,
        size_bytes=info.size_bytes,
        label=_folder_name(info.path) if source.label_from == "folder" else None,
    )


def _shown_name(path: str, data_dir: str) -> str:
    """Relative to `data_dir` where it is below; bytes that are not UTF-8 are shown as such."""
    name = path.removeprefix(data_dir.rstrip("/") + "/")
    return name.encode("utf-8", "backslashreplace").decode()


def _folder_name(path: str) -> str:
    absolute = path if files.is_remote(path) else os.path.abspath(path)
    return os.path.basename(os.path.dirname(absolute))


def _refuse(field: str, place: str, exact: str) -> tuple[FileInfo, ...]:
    """`ValueError` for a place without a file: is it a folder, what is near?"""
    inside = _listed(exact)
    if inside:
        raise ValueError(
            f"{field}: must name files; received the folder {exact}; write "
            f"{place.rstrip('/')}/{_pattern(exact, inside)}"
        )
    parent = exact.rpartition("/")[0] if files.is_remote(exact) else str(Path(exact).parent)
    raise ValueError(
        f"{field}: must match a file; received {place!r}, looked in {parent}; {_near(exact)}"
    )


def _listed(folder: str) -> list[str]:
    """The names in a folder, hidden ones left out; of a bucket only those of files."""
    if files.is_remote(folder):
        found = files.matches(files.join(glob.escape(folder), "*"))
        return [info.path.rpartition("/")[2] for info in found]
    if not os.path.isdir(folder):
        return []
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def _near(exact: str) -> str:
    """What the folder holds that looks like the name."""
    if files.is_remote(exact):
        folder, _, missing = exact.rpartition("/")
    else:
        path = Path(exact).parent
        while not path.is_dir() and path != path.parent:
            path = path.parent
        folder, missing = str(path), Path(exact).relative_to(path).parts[0]
    present = _listed(folder)
    near = difflib.get_close_matches(missing, present, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(repr(name) for name in near)}? (in {folder})"
    if not present:
        return f"{folder} is empty; set data_dir to the folder of the data"
    shown = ", ".join(present[:MAX_SHOWN]) + (", …" if len(present) > MAX_SHOWN else "")
    return f"{folder} holds {shown}; set data_dir to the folder of the data, or correct the name"


def _pattern(folder: str, names: Sequence[str]) -> str:
    """A glob of the readable files in `folder`, or in a folder below, for an advice that works."""
    for name in names:
        stem, last = os.path.splitext(name)
        packed = last if last in _PACKED else ""
        kind = os.path.splitext(stem)[1] if packed else last
        if kind in (*_SUFFIXES, _TEXT):
            return f"*{kind}{packed}"
    for name in names:
        below = [] if files.is_remote(folder) else _listed(files.join(folder, name))
        if below:
            return f"*/{_pattern(files.join(folder, name), below)}"
    return "*.csv"
