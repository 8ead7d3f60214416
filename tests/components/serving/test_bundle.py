"""A bundle is read as it was handed over, or not at all."""

from __future__ import annotations

import bisect
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tpuline.components.serving import bundle
from tpuline.components.serving.bundle import BundleError

from .made_bundle import MARKER, seal, write


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write(tmp_path / "bundle")


def test_whole_bundle_says_what_it_is(whole: Path) -> None:
    read = bundle.read(whole)
    assert (read.name, read.version, read.label_names) == ("toy", 3, ("no", "yes"))
    assert read.model_dir == whole / "toy" / "3"
    assert read.fingerprint == hashlib.sha256((whole / "HANDOFF.json").read_bytes()).hexdigest()
    assert bundle.read(whole, fingerprint=read.fingerprint) == read


@pytest.mark.parametrize("is_told", [True, False])
def test_one_flipped_bit_anywhere_is_refused_and_the_file_named(whole: Path, is_told: bool) -> None:
    told = bundle.read(whole).fingerprint if is_told else None
    files = [path for path in whole.rglob("*") if path.is_file()]
    assert len(files) == 5
    for path in files:
        before = path.read_bytes()
        for position in range(len(before)):
            changed = bytearray(before)
            changed[position] ^= 1
            path.write_bytes(changed)
            with pytest.raises(BundleError) as refused:
                bundle.read(whole, fingerprint=told)
            assert path.relative_to(whole).as_posix() in str(refused.value)
        path.write_bytes(before)
    bundle.read(whole, fingerprint=told)


def _remove(whole: Path) -> str:
    (whole / "toy/3/saved_model.pb").unlink()
    return "toy/3/saved_model.pb: is missing"


def _add(whole: Path) -> str:
    (whole / "toy/3/extra.py").touch()
    return "toy/3/extra.py: is not in SHA256SUMS"


def _add_folders(whole: Path) -> str:
    (whole / "toy/4/variables").mkdir(parents=True)
    return "toy/4/variables/: is not in SHA256SUMS"


def _link_a_file(whole: Path) -> str:
    model = whole / "toy/3/saved_model.pb"
    model.rename(whole.parent / "elsewhere.pb")
    model.symlink_to(whole.parent / "elsewhere.pb")
    return "toy/3/saved_model.pb: is a link"


def _link_a_folder(whole: Path) -> str:
    (whole / "toy/3/variables").rename(whole.parent / "variables")
    (whole / "toy/3/variables").symlink_to(whole.parent / "variables")
    return "toy/3/variables: is a link"


def _link_the_marker(whole: Path) -> str:
    (whole / "HANDOFF.json").rename(whole.parent / "HANDOFF.json")
    (whole / "HANDOFF.json").symlink_to(whole.parent / "HANDOFF.json")
    return "HANDOFF.json: must be there"


def _pipe(whole: Path) -> str:
    os.mkfifo(whole / "toy/3/pipe")
    return "toy/3/pipe: is a link, or no file"


def _pipe_as_marker(whole: Path) -> str:
    (whole / "HANDOFF.json").unlink()
    os.mkfifo(whole / "HANDOFF.json")
    return "HANDOFF.json: is no plain file"


def _no_marker(whole: Path) -> str:
    (whole / "HANDOFF.json").unlink()
    return "HANDOFF.json: must be there"


def _deep_marker(whole: Path) -> str:
    (whole / "HANDOFF.json").write_text("[" * 100_000)
    return "HANDOFF.json: is no JSON"


def _huge_marker(whole: Path) -> str:
    with (whole / "HANDOFF.json").open("wb") as file:
        file.truncate(1 << 30)
    return "HANDOFF.json: is no plain file of a few bytes"


@pytest.mark.parametrize(
    "edit",
    [
        _remove, _add, _add_folders, _link_a_file, _link_a_folder, _link_the_marker, _pipe,
        _pipe_as_marker, _no_marker, _deep_marker, _huge_marker,
    ],
)  # fmt: skip
def test_edited_bundle_is_refused(whole: Path, edit: Callable[[Path], str]) -> None:
    told = edit(whole)
    with pytest.raises(BundleError, match=told.replace(".", r"\.")):
        bundle.read(whole)


def test_marker_that_can_be_read_but_not_written_is_refused(whole: Path) -> None:
    """json reads more levels than its own writer takes; how many is another number in every Python.
    So all around the deepest that is read, which is searched for."""

    def is_read(depth: int) -> bool:
        nested = "[" * depth + "]" * depth
        (whole / "HANDOFF.json").write_text(f'{{"format_version": {bundle.FORMAT}, "a": {nested}}}')
        with pytest.raises(BundleError, match=r"^HANDOFF\.json: is no") as refused:
            bundle.read(whole)
        return "is not as it was written" in str(refused.value)

    deepest = bisect.bisect_left(range(100_000), True, key=lambda depth: not is_read(depth)) - 1
    assert {is_read(deepest + more) for more in range(-6, 7)} == {True, False}


@pytest.mark.parametrize(
    "name",
    ["../outside", "/etc/passwd", "a/../../outside", "a//b", "./a", "C:\\a", "a\\..\\b", "C:/a"],
)
def test_sums_that_leave_the_folder_are_refused(whole: Path, name: str) -> None:
    (whole.parent / "outside").write_bytes(b"a secret")
    digest = hashlib.sha256(b"a secret").hexdigest()
    sums = f"{bundle.digests(whole)}{digest}  {name}\n"
    _marked(whole, sums)
    with pytest.raises(BundleError, match="is no file of a bundle"):
        bundle.read(whole)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": ".."},
        {"name": "../../etc"},
        {"name": "toy/3"},
        {"name": ""},
        {"version": -1},
        {"version": 4},
        {"version": 2**63},
        {"version": 10**300},
        {"version": "3"},
        {"version": True},
        {"label_names": "no"},
        {"label_names": [1, 2]},
        {"tolerance": "much"},
    ],
)
def test_marker_that_names_no_model_of_the_bundle_is_refused(
    whole: Path, changed: dict[str, Any]
) -> None:
    seal(whole, changed)
    with pytest.raises(BundleError, match=r"HANDOFF\.json|toy/4"):
        bundle.read(whole)


def test_refused_model_is_no_bundle(whole: Path) -> None:
    seal(whole, {"blessed": False})
    with pytest.raises(BundleError, match="gates"):
        bundle.read(whole)


def test_later_format_says_which_tpuline_reads_it(whole: Path) -> None:
    seal(whole, {"format_version": 99})
    with pytest.raises(BundleError, match="its wheel is in the bundle"):
        bundle.read(whole)


def test_bundle_forged_as_a_whole_has_another_fingerprint(whole: Path) -> None:
    told = bundle.read(whole).fingerprint
    (whole / "toy/3/saved_model.pb").write_bytes(b"another model")
    seal(whole)
    bundle.read(whole)  # without the fingerprint nothing tells it from a true one
    with pytest.raises(BundleError, match=told):
        bundle.read(whole, fingerprint=told)


def test_sums_are_those_that_sha256sum_checks(whole: Path) -> None:
    lines = (whole / "SHA256SUMS").read_text().splitlines()
    assert [line[64:] for line in lines] == [
        "  samples.json",
        "  toy/3/saved_model.pb",
        "  toy/3/variables/variables.index",
    ]
    assert lines[1][:64] == hashlib.sha256(b"a model").hexdigest()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (b"\xff.py", r"\udcff.py"),
        (b"\x1b[2K.py", r"\x1b[2K.py"),
        (b"a\nok    files.py", r"a\nok    files.py"),
        ("\u202egpj.py".encode(), r"\u202egpj.py"),  # turns round what is shown after it
    ],
)
def test_name_that_could_not_be_printed_as_it_is_is_told_with_escapes(
    whole: Path, name: bytes, told: str
) -> None:
    Path(os.fsdecode(bytes(whole / "toy/3") + b"/" + name)).touch()
    with pytest.raises(BundleError) as refused:
        bundle.read(whole)
    assert str(refused.value).startswith(f"toy/3/{told}: is not in SHA256SUMS")


def test_name_as_it_should_be_is_told_as_it_is(whole: Path) -> None:
    (whole / "toy/3/größe 'x'.py").touch()
    with pytest.raises(BundleError, match=r"^toy/3/größe 'x'\.py: is not"):
        bundle.read(whole)


def test_marker_cannot_fake_lines_or_fill_the_screen(whole: Path) -> None:
    for changed in ({"format_version": "\n\x1b[2K\udcff" * 999}, {"name": "\n\x1b[2K" * 999}):
        seal(whole, changed)
        with pytest.raises(BundleError) as refused:
            bundle.read(whole)
        assert str(refused.value).isprintable() and len(str(refused.value)) < 800


def _too_deep(folder: Path, *, num_bytes: int) -> str:
    """Name of an empty file below it whose path is of so many bytes; Linux takes 4095."""
    missing = num_bytes - len(bytes(folder)) - 201
    parts = ["d" * 199] * ((missing - 2) // 200)
    parts += ["d" * (missing - 200 * len(parts) - 1), "f" * 200]
    descriptor = os.open(folder, os.O_RDONLY)
    for part in parts[:-1]:
        os.mkdir(part, dir_fd=descriptor)
        below = os.open(part, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open(parts[-1], os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)
    return "/".join(parts)


def test_folder_too_deep_to_be_read_is_named(whole: Path) -> None:
    _too_deep(whole, num_bytes=5000)
    with pytest.raises(BundleError, match=r"^d+\.\.\..*: cannot be read \(File name too long\)"):
        bundle.read(whole)


def test_file_that_cannot_be_read_is_named(whole: Path) -> None:
    name = _too_deep(whole, num_bytes=4200)  # in a folder that can be
    _marked(whole, f"{bundle.digests(whole / 'toy')}".replace("  ", "  toy/") + _line(name, whole))
    with pytest.raises(BundleError, match=r"f: cannot be read \(File name too long\); the bundle"):
        bundle.read(whole)


def _line(name: str, whole: Path) -> str:
    empty = hashlib.sha256(b"").hexdigest()
    samples = hashlib.sha256((whole / "samples.json").read_bytes()).hexdigest()
    return f"{empty}  {name}\n{samples}  samples.json\n"


def _marked(whole: Path, sums: str) -> None:
    """A marker that vouches for these sums."""
    (whole / "SHA256SUMS").write_text(sums)
    facts = MARKER | {"sums_sha256": hashlib.sha256(sums.encode()).hexdigest()}
    (whole / "HANDOFF.json").write_text(bundle.marker_text(facts))
