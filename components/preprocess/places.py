"""Configured paths and globs -> files on disk; says what is near when nothing matches."""

from __future__ import annotations

import difflib
import glob
from pathlib import Path

from .source import SAMPLE, TFDS, Format, InputFile, Source
from .tfds_source import tfds_file

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
MAX_SHOWN = 5  # names in a message


def list_files(source: Source, split: str, data_dir: Path) -> tuple[InputFile, ...]:
    """What `split` is read from, sorted by name, nothing twice; empty when it is cut from train.

    `ValueError` for a place that matches no file.
    """
    found: dict[tuple[Path, str], InputFile] = {}
    for place in source.places(split):
        for file in _files(source, place, split, data_dir):
            found.setdefault(identity(file), file)
    return tuple(sorted(found.values(), key=lambda file: file.name))


def identity(file: InputFile) -> tuple[Path, str]:
    """Equal for the same rows reached by two names."""
    return (file.path if file.format == "sample" else file.path.resolve(), file.tfds_split)


def _files(source: Source, place: str, split: str, data_dir: Path) -> list[InputFile]:
    if place.startswith(SAMPLE):
        return [InputFile(split=split, name=place, path=Path(place), format="sample")]
    if place.startswith(TFDS):
        return [tfds_file(place, split, data_dir)]
    return [_input_file(source, split, path, data_dir) for path in _matches(place, split, data_dir)]


def _matches(place: str, split: str, data_dir: Path) -> list[Path]:
    """The regular files that a path or glob names; a file of exactly that name goes first."""
    # An absolute place wins over data_dir; the magic of glob stays out of data_dir itself.
    exact = data_dir / Path(place).expanduser()
    if exact.is_file():
        return [exact]
    field = f"preprocess.source.{split}"
    if not data_dir.is_dir():
        raise ValueError(
            f"data_dir: must be an existing folder, taken from the working folder; received "
            f"{str(data_dir)!r} in {Path.cwd()}; set it to where {place!r} is"
        )
    if exact.is_dir():
        raise ValueError(
            f"{field}: must name files; received the folder {exact}; write "
            f"{place.rstrip('/')}/*{_common_suffix(exact)}"
        )
    names = glob.glob(str(Path(place).expanduser()), root_dir=data_dir, recursive=True)
    files = sorted(path for path in (data_dir / name for name in names) if path.is_file())
    if not files:
        raise ValueError(
            f"{field}: must match a file; received {place!r}, looked in {exact.parent}; "
            f"{_near(exact)}"
        )
    return files


def _input_file(source: Source, split: str, path: Path, data_dir: Path) -> InputFile:
    name = path.relative_to(data_dir).as_posix() if path.is_relative_to(data_dir) else str(path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compressed = suffixes[-1:] == [".gz"]
    kind = (suffixes[:-1] if compressed else suffixes)[-1:]
    format_: Format | None
    format_ = _SUFFIXES.get(kind[0]) if kind else None
    if source.format != "auto":
        format_ = source.format
    if format_ is None:
        raise ValueError(
            f"preprocess.source.{split}: must be files ending in {', '.join(_SUFFIXES)} (text also "
            f"with .gz); received {name!r}; set preprocess.source.format to say what it is"
        )
    if format_ == "parquet" and compressed:
        raise ValueError(
            f"preprocess.source.{split}: Parquet must not be gzip-compressed as a file; received "
            f"{name!r}; unpack it, Parquet compresses inside"
        )
    return InputFile(split=split, name=name, path=path, format=format_, compressed=compressed)


def _near(exact: Path) -> str:
    """What the folder holds that looks like the name."""
    folder = exact.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    present = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    missing = exact.relative_to(folder).parts[0]
    near = difflib.get_close_matches(missing, present, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(repr(name) for name in near)}? (in {folder})"
    if not present:
        return f"{folder} is empty; set data_dir to the folder of the data"
    shown = ", ".join(present[:MAX_SHOWN]) + (", …" if len(present) > MAX_SHOWN else "")
    return f"{folder} holds {shown}; set data_dir to the folder of the data, or correct the name"


def _common_suffix(folder: Path) -> str:
    """The ending of the readable files in `folder`, for an advice that works."""
    for path in sorted(folder.iterdir()):
        ending = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
        if ending.removesuffix(".gz") in _SUFFIXES:
            return ending
    return ".csv"
