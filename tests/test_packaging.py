"""The wheel holds every module and template of the tree, under the mapped names."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from the tracked and new files alone, without touching the checkout or the network."""
    out = tmp_path_factory.mktemp("wheel")
    source = tmp_path_factory.mktemp("source")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in listed:
        if (checkout / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((checkout / name).read_bytes())
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    done = subprocess.run([*build, str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_wheel_holds_every_module_and_template(wheel: zipfile.ZipFile, checkout: Path) -> None:
    wanted = {
        f"tpuline/{path.relative_to(checkout).as_posix()}"
        for folder in ("pipeline", "components")
        for pattern in ("*.py", "*.j2")
        for path in (checkout / folder).rglob(pattern)
    }
    assert wanted <= set(wheel.namelist())


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tpuline"}
    inner = {name.split("/")[1] for name in wheel.namelist() if name.startswith("tpuline/")}
    assert inner == {"pipeline", "components"}


def test_wheel_offers_the_command(wheel: zipfile.ZipFile) -> None:
    entry = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "tpuline = tpuline.pipeline.cli:main" in wheel.read(entry).decode()


def test_package_wins_over_strangers_in_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "components").mkdir()
    (tmp_path / "components" / "contracts.py").write_text("raise RuntimeError('a stranger')\n")
    (tmp_path / "pipeline.py").write_text("raise RuntimeError('a stranger')\n")
    done = subprocess.run(
        [sys.executable, "-m", "tpuline.pipeline.cli", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
