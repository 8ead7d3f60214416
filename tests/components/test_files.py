"""Files on this machine and in a bucket: the same calls, and nothing that is half written."""

from __future__ import annotations

import glob
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.components.disk import renamed_unflushed
from tpuline.components import files

ODD_BYTES = b"\r\n\x00\xff\x1f\x8b--boundary--\n"


@pytest.fixture(params=["local", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty folder of each kind."""
    if request.param == "local":
        return str(tmp_path / "folder")
    bucket: str = request.getfixturevalue("gcs_emulator")
    return files.join(bucket, "folder")


def test_file_reads_back_as_it_was_written(place: str) -> None:
    for name, content in (("odd", ODD_BYTES), ("empty", b""), ("deep/er/file", b"x" * 3_000_000)):
        path = files.join(place, name)
        files.write_bytes(path, content)
        assert files.exists(path) and files.read_bytes(path) == content
        with files.reading(path) as file:
            assert file.read(3) == content[:3]


def test_file_gets_its_name_only_when_it_is_whole(place: str) -> None:
    path = files.join(place, "file")
    with pytest.raises(RuntimeError, match="midway"), files.appearing(path) as draft:
        draft.write_bytes(b"half")
        raise RuntimeError("midway")
    assert not files.exists(path) and files.below(place) == ()
    files.write_bytes(path, b"whole")
    with pytest.raises(RuntimeError, match="midway"), files.appearing(path) as draft:
        draft.write_bytes(b"half")
        raise RuntimeError("midway")
    assert files.read_bytes(path) == b"whole"


def test_file_is_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = renamed_unflushed(monkeypatch)
    files.write_bytes(str(tmp_path / "file"), b"whole")
    files.copy(str(tmp_path / "file"), str(tmp_path / "copy"))
    assert not wrong


def test_listings_are_sorted_and_know_the_sizes(place: str) -> None:
    for name in ("b.csv", "sub/c.csv", "a.csv", "a.txt"):
        files.write_bytes(files.join(place, name), name.encode())

    def names(found: tuple[files.FileInfo, ...]) -> list[str]:
        assert all(info.size_bytes == len(files.read_bytes(info.path)) for info in found)
        return [info.path.removeprefix(place + "/") for info in found]

    assert names(files.below(place)) == ["a.csv", "a.txt", "b.csv", "sub/c.csv"]
    assert names(files.matches(files.join(place, "*.csv"))) == ["a.csv", "b.csv"]
    assert names(files.matches(files.join(place, "**", "*.csv")))[-1] == "sub/c.csv"
    assert files.matches(files.join(place, "b.csv"))[0].size_bytes == 5
    assert files.below(files.join(place, "nothing")) == ()


def test_globs_of_a_bucket_are_those_of_the_standard_library(
    tmp_path: Path, gcs_emulator: str
) -> None:
    names = "a.csv .a.csv d/a.csv d/.b.csv .h/a.csv d/e/a.csv d/.h/e/a.csv d/e/b.tsv d1/a[1].csv"
    for name in names.split():
        for top in (str(tmp_path), gcs_emulator):
            files.write_bytes(files.join(top, name), name.encode())
    patterns = "*.csv .*.csv */*.csv **/*.csv **/a.csv **/.h/** d/** d/.h/**/*.csv .h/* **/.?.csv"
    patterns += (
        " **/e/* d*/a* d/**/?.csv d/** **/**/a.csv d**/a.csv [a-c].csv a.csv d d/ d1/a[[]1]*"
    )

    def found(top: str, pattern: str) -> list[str]:
        return [
            info.path.removeprefix(f"{top}/") for info in files.matches(files.join(top, pattern))
        ]

    for pattern in patterns.split():
        assert found(gcs_emulator, pattern) == found(str(tmp_path), pattern), pattern
    assert found(gcs_emulator, "**/*.csv") == ["a.csv", "d/a.csv", "d/e/a.csv", "d1/a[1].csv"]


def test_folder_is_listed_by_its_very_name(place: str) -> None:
    for name in ("a[1]/x", "a1/y", "b*/x", "bc/y"):
        files.write_bytes(files.join(place, name), b"1")
    for folder in ("a[1]", "b*"):
        path = files.join(place, folder)
        expected = [files.join(path, "x")]
        assert [info.path for info in files.below(path)] == expected
        assert [info.path for info in files.matches(f"{glob.escape(path)}/*")] == expected
    assert files.below(files.join(place, "a?")) == ()


def test_removing_takes_what_is_meant_and_nothing_beside_it(place: str) -> None:
    for name in ("gone/a", "gone/deep/b", "gone-not/c", "file", "file2"):
        files.write_bytes(files.join(place, name), b"1")
    files.remove_folder(files.join(place, "gone"))
    files.remove(files.join(place, "file"))
    left = [info.path.removeprefix(place + "/") for info in files.below(place)]
    assert left == ["file2", "gone-not/c"]
    files.remove_folder(files.join(place, "gone"))  # what is not there is no error
    files.remove(files.join(place, "file"))


def test_copies_go_in_either_direction(tmp_path: Path, gcs_emulator: str) -> None:
    here, there, back = str(tmp_path / "a"), files.join(gcs_emulator, "a"), str(tmp_path / "b/c")
    files.write_bytes(here, ODD_BYTES)
    files.copy(here, there)
    files.copy(there, back)
    assert files.read_bytes(back) == ODD_BYTES


def test_checksum_follows_the_content(gcs_emulator: str) -> None:
    path = files.join(gcs_emulator, "a")
    files.write_bytes(path, b"one")
    first = files.checksum(path)
    files.write_bytes(path, b"two")
    assert files.checksum(path) != first
    files.write_bytes(path, b"one")
    assert files.checksum(path) == first


def test_missing_file_is_told_like_a_local_one(place: str) -> None:
    path = files.join(place, "nothing")
    with pytest.raises(FileNotFoundError, match="nothing"):
        files.read_bytes(path)
    assert not files.exists(path)


def test_missing_bucket_is_told_in_our_words(gcs_emulator: str) -> None:
    for attempt in (files.read_bytes, files.below, lambda path: files.write_bytes(path, b"1")):
        with pytest.raises(FileNotFoundError, match=r"gs://no-such/a.*no such file or bucket"):
            attempt("gs://no-such/a")


class _Forbidding(BaseHTTPRequestHandler):
    """A store that lets nobody in."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def forbidding(gcs_emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a bucket that the credentials give no access to."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Forbidding)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://localhost:{server.server_port}")
    yield "gs://closed"
    server.shutdown()
    server.server_close()


def test_missing_permission_says_what_to_do(forbidding: str) -> None:
    for attempt in (files.read_bytes, files.below, lambda path: files.write_bytes(path, b"1")):
        with pytest.raises(PermissionError, match="grant them access to the bucket"):
            attempt(files.join(forbidding, "a"))


def test_missing_extra_is_named() -> None:
    program = (
        "import sys; sys.modules['google.cloud.storage'] = None\n"
        "from tpuline.components import files\n"
        "try: files.below('gs://bucket/a')\n"
        "except ValueError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install 'tpuline[gcp]'" in done.stdout, done.stderr


def test_local_files_need_no_beam(tmp_path: Path) -> None:
    program = (
        "import sys; from tpuline.components import files\n"
        "path = files.join(sys.argv[1], 'a'); files.write_bytes(path, b'1')\n"
        "assert files.below(sys.argv[1]) and files.matches(path) and files.read_bytes(path)\n"
        "files.remove_folder(sys.argv[1])\n"
        "print('apache_beam' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "folder")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
