"""Wheels put together by hand: pip takes them, and they are the same bytes every time."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

from tpuline.components.wheels import build_wheel

DIGEST = "y3i9ihf3t1H-DUZjNm3LwlcgQDPvfd1ksfKWlXO1suI"


def test_record_lists_every_file_with_its_digest() -> None:
    _, content = build_wheel("toy", "1.0", {"toy/a.py": b"a = 1\n"}, "other==2")
    wheel = zipfile.ZipFile(io.BytesIO(content))
    lines = wheel.read("toy-1.0.dist-info/RECORD").decode().splitlines()
    assert [line.split(",")[0] for line in lines] == wheel.namelist()
    # printf 'a = 1\n' | openssl dgst -sha256 -binary | base64 | tr '+/' '-_'
    assert lines[0] == f"toy/a.py,sha256={DIGEST},6"
    assert b"Requires-Dist: other==2\n" in wheel.read("toy-1.0.dist-info/METADATA")


def test_commands_of_a_wheel_are_installed(tmp_path: Path) -> None:
    name, content = build_wheel(
        "toy", "1.0", {"toy/__init__.py": b"def main(): pass\n"}, commands={"toy": "toy:main"}
    )
    (tmp_path / name).write_bytes(content)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    target = tmp_path / "there"
    subprocess.run([*pip, "--target", str(target), str(tmp_path / name)], check=True)
    assert (target / "bin" / "toy").is_file()
