"""The bundle of a run: there when it is blessed, accepted by whoever serves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tpuline.components.serving import bundle
from tpuline.pipeline import api, cli

from .conftest import Shrunk

pytestmark = pytest.mark.long


@pytest.fixture
def handed_over(finished: Shrunk) -> Path:
    """Where people look for it; another test may have run the demo under this name since."""
    folder = finished.root / "demo" / "handoff"
    if not bundle.is_bundle(folder):
        assert finished.run().returncode == 0
    return folder


def test_blessed_run_leaves_a_bundle_and_tells_its_fingerprint(
    finished: Shrunk, handed_over: Path
) -> None:
    told = api.read_report(finished.root / "demo")["handoff"]
    assert told["handed_over"] and told["variant"] == "base"
    opened = bundle.read(handed_over, fingerprint=told["fingerprint"])
    assert (opened.name, opened.version) == ("classifier", 1)
    page = (finished.root / "demo" / "report.html").read_text()
    assert told["fingerprint"] in page


def test_refused_run_leaves_none_and_takes_the_older_away(finished: Shrunk) -> None:
    assert finished.run("name=turned").returncode == 0
    folder = finished.root / "turned" / "handoff"
    assert bundle.is_bundle(folder)
    assert finished.run("name=turned", "judge={min_macro_f1: 1.0}").returncode == 3
    assert not folder.exists()
    assert api.read_report(finished.root / "turned")["handoff"]["handed_over"] is False


def test_accept_says_yes_by_its_exit_code_and_in_json(handed_over: Path) -> None:
    command = [sys.executable, "-m", "tpuline.pipeline.cli", "accept", str(handed_over), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["accepted"] and all(check["passed"] is not False for check in found["checks"])


def test_every_file_of_the_bundle_is_guarded(
    finished: Shrunk, handed_over: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = api.read_report(finished.root / "demo")["handoff"]["fingerprint"]
    copy = tmp_path / "copy"
    shutil.copytree(handed_over, copy)
    for path in sorted(path for path in copy.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        assert cli.main(["accept", str(copy), "--fingerprint", told]) == 3
        printed = capsys.readouterr().out
        assert path.relative_to(copy).as_posix() in printed and "reject" in printed
        path.write_bytes(whole)


def test_promoted_bundle_is_rolled_back_from_the_command_line(
    handed_over: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served = str(tmp_path / "served")
    assert cli.main(["promote", str(handed_over), served]) == 0
    first, told = capsys.readouterr().out.splitlines()
    assert first == "classifier: stable 1" and told.startswith("not compared with a fingerprint")
    assert cli.main(["rollback", served]) == 2
    assert "promote a bundle instead" in capsys.readouterr().err
    (handed_over.parent / "edited").mkdir(exist_ok=True)
    assert cli.main(["promote", str(handed_over.parent / "edited"), served]) == 3


@pytest.mark.slow
def test_bundle_is_accepted_where_only_its_own_wheel_is_installed(
    handed_over: Path, tmp_path: Path
) -> None:
    """As a serving team does, from the README of the bundle."""
    bundle_dir = tmp_path / "bundle"
    shutil.copytree(handed_over, bundle_dir)
    venv.create(tmp_path / "venv", with_pip=True)
    (wheel,) = (bundle_dir / "acceptance").glob("*.whl")
    python = tmp_path / "venv" / "bin" / "python"
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel]
    subprocess.run(pip, check=True, env=clean, cwd=tmp_path)
    tpuline = tmp_path / "venv" / "bin" / "tpuline"
    done = subprocess.run(
        [tpuline, "accept", "."], cwd=bundle_dir, env=clean, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "classifier 1: accept" in done.stdout
    installed = subprocess.run(
        [python, "-m", "pip", "list"], env=clean, capture_output=True, text=True, check=True
    ).stdout.lower()
    assert not any(name in installed for name in ("apache-beam", "keras-hub", "pytest"))
