"""The bundle beside the report of a run: what readers of it see from run to run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.components.serving import made_bundle
from tests.pipeline.run_facts import finished
from tpuline.components import files
from tpuline.components.contracts import Handoff
from tpuline.components.serving import bundle
from tpuline.pipeline import store
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
    assert not hand_over(None, str(place))  # it did not get as far
    assert bundle.is_bundle(place / "handoff")
    refused = replace(handed(tmp_path / "h2"), bundle_dir=None)
    assert hand_over(refused, str(place)) and not hand_over(refused, str(place))
    assert not (place / "handoff").exists()


def test_in_a_bucket_the_same_bundle_is_left_alone_and_another_takes_its_place(
    tmp_path: Path, gcs_emulator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, copied = files.join(gcs_emulator, "run"), list[str]()
    copy = files.copy
    monkeypatch.setattr(files, "copy", lambda a, b: (copied.append(b), copy(a, b))[1])
    one, two = handed(tmp_path / "h1"), handed(tmp_path / "h2", b"another model")
    hand_over(one, place)
    assert copied[-1] == f"{place}/handoff/{bundle.MARKER}" and len(copied) > 3
    copied.clear()
    hand_over(one, place)
    assert not copied
    store.at(gcs_emulator).withdraw_run("run")  # the next run begins
    hand_over(None, place)  # and does not get as far
    hand_over(one, place)
    assert not copied and files.exists(f"{place}/handoff/{bundle.MARKER}")
    files.write_bytes(f"{place}/handoff/toy/3/saved_model.pb", b"cut")
    hand_over(one, place)
    assert copied
    hand_over(two, place)
    marker = (Path(two.uri) / "bundle" / bundle.MARKER).read_bytes()
    assert files.read_bytes(f"{place}/handoff/{bundle.MARKER}") == marker
    hand_over(replace(two, bundle_dir=None), place)
    assert files.below(f"{place}/handoff") == ()
