"""Artifacts: done means the manifest is there and the files are whole."""

from __future__ import annotations

import json
import multiprocessing
import time
from dataclasses import asdict
from pathlib import Path

from tpuline.components.contracts import Interval
from tpuline.pipeline import store


def commit(shelf: store.Store, key: str = "k1", text: str = "data") -> store.Manifest:
    """A small finished artifact."""
    with shelf.writing("train", key) as folder:
        shelf.clear("train", key)
        (folder / "sub").mkdir()
        (folder / "sub" / "file.txt").write_text(text)
        manifest = store.Manifest(
            format=store.FORMAT,
            stage="train",
            key=key,
            stage_version=1,
            created=store.now(),
            seconds=1.5,
            inputs={},
            identity={"config": {"a": 1}},
            versions={},
            machine={},
            warnings=("a warning",),
            files=store.describe(folder),
            output=asdict(Interval(value=0.5, low=0.4, high=0.6)),
        )
        shelf.commit(manifest)
    return manifest


def test_artifact_without_manifest_does_not_exist(tmp_path: Path) -> None:
    shelf = store.Store(tmp_path)
    commit(shelf)
    (shelf.folder("train", "k1") / store.MANIFEST).unlink()
    assert shelf.manifest("train", "k1") is None


def test_manifest_reads_back_as_it_was_written(tmp_path: Path) -> None:
    shelf = store.Store(tmp_path)
    manifest = commit(shelf)
    assert shelf.manifest("train", "k1") == manifest
    assert manifest.files[0].path == "sub/file.txt"


def test_torn_manifest_means_not_done(tmp_path: Path) -> None:
    shelf = store.Store(tmp_path)
    commit(shelf)
    path = shelf.folder("train", "k1") / store.MANIFEST
    path.write_bytes(path.read_bytes()[:100])
    assert shelf.manifest("train", "k1") is None


def test_missing_or_shortened_file_means_not_done(tmp_path: Path) -> None:
    shelf = store.Store(tmp_path)
    commit(shelf)
    file = shelf.folder("train", "k1") / "sub" / "file.txt"
    file.write_text("dat")
    assert shelf.manifest("train", "k1") is None
    file.unlink()
    assert shelf.manifest("train", "k1") is None


def test_new_attempt_starts_from_an_empty_folder(tmp_path: Path) -> None:
    shelf = store.Store(tmp_path)
    commit(shelf)
    folder = shelf.clear("train", "k1")
    assert list(folder.iterdir()) == []


def test_json_is_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    store.write_json(path, {"x": 1})
    store.write_json(path, {"x": 2})
    assert json.loads(path.read_text()) == {"x": 2}
    assert [p.name for p in path.parent.iterdir()] == ["b.json"]


def _hold(root: str, started: str, seconds: float) -> None:
    with store.Store(root).writing("train", "k1"):
        Path(started).touch()
        time.sleep(seconds)


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)


def test_second_writer_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    first = context.Process(target=_hold, args=(str(tmp_path), str(tmp_path / "started"), 1.0))
    first.start()
    _wait_for(tmp_path / "started")
    said: list[str] = []
    with store.Store(tmp_path).writing("train", "k1", on_wait=lambda: said.append("waiting")):
        assert not first.is_alive() or first.join(5) is None
    assert said == ["waiting"]
    first.join()


def test_lock_of_a_killed_writer_is_free(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    first = context.Process(target=_hold, args=(str(tmp_path), str(tmp_path / "started"), 60.0))
    first.start()
    _wait_for(tmp_path / "started")
    first.kill()
    first.join()
    said: list[str] = []
    with store.Store(tmp_path).writing("train", "k1", on_wait=lambda: said.append("waiting")):
        pass
    assert said == []
