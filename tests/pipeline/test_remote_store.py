"""Artifacts in a bucket: whole or not there, for every machine that looks."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tpuline.components import files
from tpuline.pipeline import store


@dataclass(frozen=True, kw_only=True)
class Made:
    """What the artifact of these tests is."""

    uri: str
    sizes: tuple[int, ...]


@pytest.fixture
def root(gcs_emulator: str) -> str:
    """Where the artifacts are kept."""
    return files.join(gcs_emulator, "some", "runs")


@pytest.fixture
def elsewhere(root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> store.Store:
    """The store as another machine sees it, whose cache is empty."""
    with monkeypatch.context() as patch:
        patch.setenv("TPULINE_CACHE", str(tmp_path / "another machine"))
        return store.at(root)


def fill(shelf: store.Store, key: str = "k1") -> store.Manifest:
    """Two files in the work folder of an attempt, and what is to be said of them."""
    folder = shelf.clear("train", key)
    (folder / "sub").mkdir()
    (folder / "sub" / "file.txt").write_bytes(b"data")
    (folder / "empty").touch()
    return describe(shelf, key)


def describe(shelf: store.Store, key: str = "k1") -> store.Manifest:
    return store.Manifest(
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
        warnings=(),
        files=shelf.contents("train", key),
        output=asdict(Made(uri=".", sizes=(1, 2))),
    )


def commit(shelf: store.Store, key: str = "k1") -> store.Manifest:
    """A small finished artifact."""
    with shelf.writing("train", key):
        manifest = fill(shelf, key)
        shelf.commit(manifest)
    return manifest


def read(shelf: store.Store) -> Path:
    """Where the artifact stands on the machine that reads it."""
    manifest = shelf.manifest("train", "k1")
    assert manifest is not None
    made = shelf.read(manifest, Made)
    assert made.sizes == (1, 2)
    return Path(made.uri)


def test_artifact_is_the_same_on_another_machine(root: str, elsewhere: store.Store) -> None:
    shelf = store.at(root)
    manifest = commit(shelf)
    assert elsewhere.manifest("train", "k1") == shelf.manifest("train", "k1")
    assert [found.key for found in elsewhere.manifests("train")] == [manifest.key]
    folder = read(elsewhere)
    assert folder == elsewhere.folder("train", "k1") != shelf.folder("train", "k1")
    assert (folder / "sub" / "file.txt").read_bytes() == b"data"
    assert (folder / "empty").read_bytes() == b""


def test_machine_that_made_it_reads_without_a_download(root: str) -> None:
    shelf = store.at(root)
    commit(shelf)
    file = shelf.folder("train", "k1") / "sub" / "file.txt"
    before = file.stat().st_mtime_ns, file.stat().st_ino
    assert read(shelf) / "sub" / "file.txt" == file
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before


def test_upload_without_manifest_is_no_artifact(
    root: str, elsewhere: store.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = store.at(root)
    manifest = fill(shelf)
    write_bytes = files.write_bytes

    def killed(path: str, content: bytes) -> None:
        assert path.endswith(store.MANIFEST), "something else than the manifest comes last"
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "write_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        shelf.commit(manifest)
    monkeypatch.setattr(files, "write_bytes", write_bytes)
    assert len(files.below(shelf.shared("train", "k1"))) == 2
    for machine in (shelf, elsewhere):
        assert machine.manifest("train", "k1") is None
        assert list(machine.manifests("train")) == []


def test_new_attempt_takes_the_manifest_away_before_anything_else(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = store.at(root)
    commit(shelf)

    def killed(folder: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "remove_folder", killed)
        with pytest.raises(KeyboardInterrupt):
            shelf.clear("train", "k1")
    assert shelf.manifest("train", "k1") is None
    shelf.clear("train", "k1")
    assert files.below(shelf.shared("train", "k1")) == ()


def test_missing_or_shortened_file_in_the_bucket_means_not_done(root: str) -> None:
    shelf = store.at(root)
    manifest = commit(shelf)
    path = files.join(shelf.shared("train", "k1"), "sub", "file.txt")
    files.write_bytes(path, b"dat")
    assert shelf.manifest("train", "k1") is None
    assert shelf.flaw(manifest) == "sub/file.txt has 3 bytes instead of 4"
    files.remove(path)
    assert shelf.flaw(manifest) == "sub/file.txt is missing"


def test_file_of_other_content_is_never_read(root: str, elsewhere: store.Store) -> None:
    shelf = store.at(root)
    commit(shelf)
    path = files.join(shelf.shared("train", "k1"), "sub", "file.txt")
    files.write_bytes(path, b"evil")
    with pytest.raises(OSError, match=r"sub/file.txt: is not what was stored"):
        read(elsewhere)
    assert not (elsewhere.folder("train", "k1") / "sub" / "file.txt").exists()
    files.write_bytes(path, b"data")
    assert (read(elsewhere) / "sub" / "file.txt").read_bytes() == b"data"


def test_half_a_download_is_not_taken_for_done(root: str, elsewhere: store.Store) -> None:
    commit(store.at(root))
    folder = elsewhere.folder("train", "k1")
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file.txt").write_bytes(b"da\0\0")  # of the right size
    assert (read(elsewhere) / "sub" / "file.txt").read_bytes() == b"data"
    assert (folder / "empty").exists()
    (folder / "empty").unlink()
    assert (read(elsewhere) / "empty").exists()


def test_artifact_made_again_replaces_what_was_downloaded(
    root: str, elsewhere: store.Store
) -> None:
    shelf = store.at(root)
    commit(shelf)
    read(elsewhere)
    fill(shelf)
    (shelf.folder("train", "k1") / "sub" / "file.txt").write_bytes(b"new!")
    shelf.commit(describe(shelf))
    assert (read(elsewhere) / "sub" / "file.txt").read_bytes() == b"new!"


def test_files_that_workers_wrote_into_the_bucket_belong_to_the_artifact(
    root: str, elsewhere: store.Store
) -> None:
    shelf = store.at(root)
    fill(shelf)
    shared = shelf.shared("train", "k1")
    assert shared == f"{root}/train/k1"
    files.write_bytes(files.join(shared, "split", "shard"), b"written by a worker")
    shelf.commit(describe(shelf))
    manifest = elsewhere.manifest("train", "k1")
    assert manifest is not None
    told = {file.path: file for file in manifest.files}
    assert set(told) == {"empty", "split/shard", "sub/file.txt"}
    assert told["split/shard"].sha256 is None and told["sub/file.txt"].checksum is None
    assert told["split/shard"].checksum == files.checksum(files.join(shared, "split", "shard"))
    for machine in (elsewhere, shelf):
        assert (read(machine) / "split" / "shard").read_bytes() == b"written by a worker"
    files.write_bytes(files.join(shared, "split", "shard"), b"written by a fiend.")
    (read(elsewhere) / "split" / "shard").unlink()
    with pytest.raises(OSError, match="split/shard: is not what was stored"):
        read(elsewhere)


def test_folder_of_a_run_goes_to_the_bucket_and_its_events_go_on(
    root: str, elsewhere: store.Store
) -> None:
    for machine, line in ((store.at(root), "one\n"), (elsewhere, "two\n")):
        folder = machine.start_run("small")
        machine.withdraw_run("small")
        with (folder / store.EVENTS).open("a") as events:
            events.write(line)
        (folder / "report.json").write_text(json.dumps(line))
        machine.publish_run("small")
    place = elsewhere.run_place("small")
    assert place == f"{root}/small"
    assert files.read_bytes(f"{place}/{store.EVENTS}") == b"one\ntwo\n"
    assert json.loads(files.read_bytes(f"{place}/report.json")) == "two\n"
    files.write_bytes(f"{place}/preflight-v5e-8.json", b"{}")
    elsewhere.withdraw_run("small")
    kept = {info.path for info in files.below(place)}
    assert kept == {f"{place}/{store.EVENTS}", f"{place}/preflight-v5e-8.json"}
    folder = elsewhere.start_run("small")
    assert (folder / "preflight-v5e-8.json").read_bytes() == b"{}"


def test_root_that_cannot_be_written_is_told(gcs_emulator: str) -> None:
    store.at(gcs_emulator).prepare()
    assert files.below(gcs_emulator) == ()
    with pytest.raises(ValueError, match=r"--root: .*received gs://no-such/runs; .*no such file"):
        store.at("gs://no-such/runs").prepare()
    with pytest.raises(ValueError, match="received s3://bucket/runs"):
        store.at("s3://bucket/runs")
