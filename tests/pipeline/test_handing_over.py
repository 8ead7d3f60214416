"""The bundle beside the report of a run: what readers of it see from run to run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.components.serving import made_bundle
from tests.pipeline.run_facts import finished
from tpuline.components.contracts import Handoff
from tpuline.components.serving import bundle
from tpuline.pipeline.handing_over import hand_over


def handed(folder: Path, content: bytes = b"a model") -> Handoff:
    """The artifact of a handoff."""
    told = finished().handoff
    assert told
    made = made_bundle.write(folder / "bundle", content=content)
    return replace(
        told, uri=str(folder), bundle_dir="bundle", fingerprint=bundle.read(made).fingerprint
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of a run that has handed a bundle over."""
    hand_over(handed(tmp_path / "h1"), str(tmp_path / "run"))
    return tmp_path / "run"


def inodes(place: Path) -> dict[str, int]:
    """Others wherever a file was written again."""
    return {str(path): path.stat().st_ino for path in place.rglob("*")}


def test_same_bundle_is_left_alone(tmp_path: Path, place: Path) -> None:
    before = inodes(place)
    hand_over(handed(tmp_path / "h2"), str(place))
    assert inodes(place) == before


def test_bundle_that_was_damaged_is_handed_over_anew(tmp_path: Path, place: Path) -> None:
    (place / "handoff/toy/3/saved_model.pb").write_bytes(b"A model")
    (place / "handoff/toy/4").mkdir()
    same = handed(tmp_path / "h2")
    hand_over(same, str(place))
    bundle.read(place / "handoff", fingerprint=same.fingerprint)


def test_another_bundle_takes_its_place(tmp_path: Path, place: Path) -> None:
    other = handed(tmp_path / "h2", b"another model")
    hand_over(other, str(place))
    bundle.read(place / "handoff", fingerprint=other.fingerprint)


def test_run_that_refuses_takes_the_older_bundle_away(tmp_path: Path, place: Path) -> None:
    hand_over(None, str(place))  # it did not get as far
    assert bundle.is_bundle(place / "handoff")
    hand_over(replace(handed(tmp_path / "h2"), bundle_dir=None), str(place))
    assert not (place / "handoff").exists()
