"""A bundle: the folder that a serving team gets. Its layout, and how it is checked when read.

    HANDOFF.json          the marker, written last: what this is, the digest of SHA256SUMS, its own
    SHA256SUMS            of every other file, as `sha256sum --check` reads it
    <name>/<version>/     the model, as a model server loads it
    ...                   see `components.handoff`

Standard library only. Nothing that a bundle names is trusted: whatever it says of files is compared
with the folder, and nothing outside the folder is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARKER, SUMS = "HANDOFF.json", "SHA256SUMS"

SAMPLES_FILE, SLO_FILE, VERSIONS_FILE = "samples.json", "slo.json", "versions.cdx.json"
"""Requests with the answers expected; promises with what was measured; what made it (CycloneDX)."""

EVALUATION_FILE, CARD_FILE = "evaluation.json", "MODEL_CARD.md"

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
BATCHING_FILE = "batching_params.pbtxt"
"""In the folder of the model: where TF Serving looks for them."""

FORMAT = 2
_OWN = "sha256_of_the_rest"
MAX_MARKER_BYTES, MAX_SUMS_BYTES = 1 << 20, 1 << 24
MAX_SHOWN = 300
"""Characters of a name in a message."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What the marker of an undamaged bundle says."""

    folder: Path
    name: str  # that the model is served under
    version: int
    variant: str  # of the config's, `base` for the model as it was trained
    format: str  # of `contracts.Format`
    label_names: tuple[str, ...]
    has_text_pair: bool
    sequence_length: int
    tolerance: float  # of a probability, between machines
    threshold: tuple[int, float] | None  # label id, and from which probability on it is answered
    thresholds: tuple[float, ...] = ()  # by label id, of models that answer several labels
    label_separator: str | None = None  # between these in an answer
    fingerprint: str  # sha256 of the marker: told by whoever handed it over
    model_digests: Mapping[str, str]  # path in `model_dir` -> sha256, of every file when checked

    @property
    def model_dir(self) -> Path:
        """What `answering.load` takes."""
        return self.folder / self.name / str(self.version)


NOT_COMPARED = (
    "not compared with a fingerprint, so that a bundle forged as a whole passes; give "
    "--fingerprint as whoever handed it over told it"
)
"""Where none was given."""


class BundleError(ValueError):
    """A bundle that must not be served; names the file."""


def read(folder: str | Path, *, fingerprint: str | None = None) -> Bundle:
    """The bundle in `folder`, every byte of it checked.

    `fingerprint` is what the owner of the model sent over a separate channel: only that tells a
    bundle from one that somebody forged as a whole.

    Raises:
        BundleError: there is none, it was edited, or it is another one.
    """
    folder = Path(folder)
    place = printable(str(folder / MARKER))
    marker = _small_file(folder / MARKER, MAX_MARKER_BYTES)
    found = hashlib.sha256(marker).hexdigest()
    if fingerprint is not None and fingerprint != found:
        raise BundleError(
            f"{place}: must have the fingerprint {fingerprint}; received {found}; this "
            "is not the bundle that you were told of"
        )
    facts = _facts(place, marker)
    sums = _small_file(folder / SUMS, MAX_SUMS_BYTES)
    if hashlib.sha256(sums).hexdigest() != facts.get("sums_sha256"):
        raise _edited(SUMS, "is not the one that the marker tells of")
    parsed = _parsed(sums)
    _check_files(folder, parsed)
    return _bundle(folder, facts, parsed, found)


def marker_text(facts: Mapping[str, Any]) -> str:
    """The marker that says `facts`, and the digest of how they are written here, so that a byte
    which is another one on the way is found without the fingerprint, too."""
    rest = {name: value for name, value in facts.items() if name != _OWN}
    own = hashlib.sha256(_canonical(rest).encode()).hexdigest()
    return _canonical({**rest, _OWN: own})


def is_bundle(folder: str | Path) -> bool:
    """Whether it has a marker; says nothing of its worth."""
    return os.path.lexists(Path(folder) / MARKER)


def digests(folder: Path) -> str:
    """The text of SHA256SUMS for all files of a folder but the two that come last."""
    found = file_digests(folder)
    lines = [f"{found[name]}  {name}\n" for name in sorted(found.keys() - {MARKER, SUMS})]
    return "".join(lines)


def file_digests(folder: Path) -> dict[str, str]:
    """Path to sha256 of every file of a folder; raises for links, pipes and devices."""
    names = [name for name in _names(folder) if not name.endswith("/")]
    return {name: _sha256(folder / name) for name in names}


def _small_file(path: Path, max_bytes: int) -> bytes:
    """A regular file, no link, of a size that can be meant."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK)
    except OSError as error:
        raise BundleError(
            f"{printable(str(path))}: must be there in a bundle that was handed over whole; "
            f"received none ({error.strerror}); copy the bundle again"
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
            raise _edited(path.name, "is no plain file of a few bytes")
        return file.read(max_bytes + 1)


def _facts(place: str, marker: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(marker)
        # Of lists in each other json reads more than it writes, from Python 3.12 on many more.
        as_written = marker_text(facts) if isinstance(facts, dict) else ""
    except (ValueError, RecursionError) as error:
        raise _edited(MARKER, "is no JSON") from error
    if not isinstance(facts, dict) or facts.get("format_version") != FORMAT:
        raise BundleError(
            f"{place}: must be of format version {FORMAT}; received "
            f"{_cut(ascii(facts.get('format_version') if isinstance(facts, dict) else facts))}; "
            "use the tpuline that wrote it, its wheel is in the bundle"
        )
    if marker != as_written.encode():
        raise _edited(MARKER, "is not as it was written")
    if facts.get("blessed") is not True:
        raise BundleError(
            f"{place}: must be of a model that the gates let pass; received one that they refused; "
            "nothing refused is served"
        )
    return facts


def _canonical(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, indent=2, sort_keys=True) + "\n"


def _bundle(
    folder: Path, facts: dict[str, Any], sums: Mapping[str, str], fingerprint: str
) -> Bundle:
    try:
        bundle = Bundle(
            folder=folder,
            name=_of(str, facts["name"]),
            version=_of(int, facts["version"]),
            variant=_of(str, facts["variant"]),
            format=_of(str, facts["format"]),
            label_names=tuple(_of(str, label) for label in _of(list, facts["label_names"])),
            has_text_pair=_of(bool, facts["has_text_pair"]),
            sequence_length=_of(int, facts["sequence_length"]),
            tolerance=_of(float, facts["tolerance"]),
            threshold=_threshold(facts["threshold"]),
            thresholds=tuple(_of(float, one) for one in _of(list, facts.get("thresholds", []))),
            label_separator=_separator(facts.get("label_separator")),
            fingerprint=fingerprint,
            model_digests=_below(f"{facts['name']}/{facts['version']}/", sums),
        )
        _check_thresholds(bundle)
    except (KeyError, TypeError, ValueError) as error:
        raise _edited(MARKER, f"lacks what it must say ({_cut(str(error))})") from error
    if not NAME.fullmatch(bundle.name) or not 0 < bundle.version < 2**63:
        named = f"{_cut(ascii(bundle.name))}, version {_cut(str(bundle.version))}"
        raise _edited(MARKER, f"names no model: {named}")
    if not bundle.model_dir.is_dir():
        raise _edited(f"{bundle.name}/{bundle.version}", "is no folder of a model")
    return bundle


def _below(place: str, sums: Mapping[str, str]) -> dict[str, str]:
    return {n.removeprefix(place): one for n, one in sums.items() if n.startswith(place)}


def _separator(value: Any) -> str | None:
    return None if value is None else str(_of(str, value))


def _check_thresholds(bundle: Bundle) -> None:
    """Models that answer several labels have a threshold for each, and others none."""
    wanted = 0 if bundle.label_separator is None else len(bundle.label_names)
    if len(bundle.thresholds) != wanted or not all(0 <= one <= 1 for one in bundle.thresholds):
        raise ValueError(f"thresholds: must be {wanted} from 0 to 1")
    if bundle.label_separator == "":
        raise ValueError("label_separator: must not be empty")


def _threshold(value: Any) -> tuple[int, float] | None:
    if value is None:
        return None
    label_id, probability = _of(list, value)
    return _of(int, label_id), _of(float, probability)


def _of(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _parsed(sums: bytes) -> dict[str, str]:
    """Path to digest."""
    parsed: dict[str, str] = {}
    try:
        lines = sums.decode().splitlines()
    except UnicodeDecodeError as error:
        raise _edited(SUMS, "is no UTF-8") from error
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise _edited(SUMS, f"has something else than a digest on line {number}")
        digest, name = found.groups()
        if not _stays_inside(name) or name in parsed:
            raise _edited(
                SUMS, f"names {_cut(ascii(name))} on line {number}, which is no file of a bundle"
            )
        parsed[name] = digest
    return parsed


def _stays_inside(name: str) -> bool:
    parts = name.split("/")
    plain = not any(part in ("", ".", "..") for part in parts)
    return plain and "\\" not in name and "\0" not in name and ":" not in parts[0]


def _check_files(folder: Path, sums: dict[str, str]) -> None:
    """The files of the folder are those of the sums, each with its bytes, and none is a link."""
    with _reading(folder, folder):
        there = set(_names(folder)) - {MARKER, SUMS}
    for name in sorted(there - sums.keys()):
        raise _edited(name, "is not in SHA256SUMS: it was not handed over")
    for name, digest in sums.items():
        if name not in there:
            raise _edited(name, "is missing")
        with _reading(folder, folder / name):
            found = _sha256(folder / name)
        if found != digest:
            raise _edited(name, "has other bytes than were handed over")


@contextmanager
def _reading(folder: Path, path: Path) -> Iterator[None]:
    """What cannot be read is no part of a bundle, and is named."""
    try:
        yield
    except OSError as error:
        name = os.path.relpath(os.fsdecode(error.filename or path), folder)
        why = error.strerror or type(error).__name__
        raise _edited(name, f"cannot be read ({why})") from error


def _names(folder: Path) -> Iterator[str]:
    """Every file below a folder, relative, and every empty folder, which ends with a slash; raises
    for links, pipes and devices."""
    stack = [folder]
    while stack:
        place = stack.pop()
        with os.scandir(place) as entries:
            found = list(entries)
            if not found and place != folder:
                yield f"{place.relative_to(folder).as_posix()}/"
            for entry in found:
                name = Path(entry.path).relative_to(folder).as_posix()
                if entry.is_dir(follow_symlinks=False):
                    stack.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    yield name
                else:
                    raise _edited(name, "is a link, or no file at all")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _edited(name: str, what: str) -> BundleError:
    told = _cut(printable(name))
    return BundleError(f"{told}: {what}; the bundle was edited or not copied whole; refuse it")


def printable(text: str) -> str:
    """With escapes for what would fake a line, steer a terminal, or could not be written at all: a
    name of a file may be any bytes, which are surrogates here where they are no UTF-8."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _cut(text: str) -> str:
    """Without its middle where it is long."""
    if len(text) <= MAX_SHOWN:
        return text
    return f"{text[: MAX_SHOWN // 2]}...{text[-MAX_SHOWN // 2 :]}"
