"""The command line: its flags are frozen, its exit codes mean what the help says."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.components.serving import made_bundle
from tpuline.components.serving.bundle import read
from tpuline.pipeline import cli

FLAGS = {
    "run": {"config", "--set", "--root", "--until"},
    "check": {"config", "--set"},
    "plan": {"config", "--set", "--root", "--until"},
    "show": {"path", "--examples"},
    "compare-data": {"a", "b", "--json"},
    "worker-files": {"folder"},
    "doctor": {"config", "--json", "--set"},
    "predict": {"model", "--input", "--output", "--follow", "--set"},
    "preflight": {"config", "--set", "--root", "--chip", "--find-batch", "--json"},
    "accept": {"bundle", "--server", "--fingerprint", "--json"},
    "promote": {"bundle", "served", "--label", "--fingerprint"},
    "rollback": {"served", "--model"},
}


def commands() -> dict[str, argparse.ArgumentParser]:
    """Each command's own parser."""
    for action in cli.parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("the parser has no commands")


def test_command_line_does_not_grow() -> None:
    """A new knob belongs into the config; a new command changes this table on purpose."""
    found = {}
    for name, parser in commands().items():
        known = [action for action in parser._actions if action.dest != "help"]
        found[name] = {action.option_strings[-1] if action.option_strings else action.dest
                       for action in known}  # fmt: skip
    assert found == FLAGS


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run"], ["run", "x.yaml", "--sett", "a=1"]])
def test_bad_usage_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as leave:
        cli.main(arguments)
    assert leave.value.code == 2


def test_missing_config_exits_with_2_and_names_what_is_near(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "demo.yaml").write_text("name: demo\n")
    assert cli.main(["check", str(tmp_path / "demo.yml")]) == 2
    assert "demo.yaml" in capsys.readouterr().err


def test_show_of_no_run_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", str(tmp_path)]) == 2
    assert "PATH" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_bundle_with_a_name_that_is_no_utf8_is_rejected_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    bundle = made_bundle.write(tmp_path / "bundle")
    Path(os.fsdecode(bytes(bundle) + b"/\xff\nfingerprint 0")).touch()
    assert cli.main(["accept", str(bundle), *options]) == 3
    printed = capsys.readouterr().out
    assert r"\udcff\nfingerprint 0: is not in SHA256SUMS" in printed.replace(r"\\", "\\")
    assert "\nfingerprint 0" not in printed
    assert cli.main(["promote", str(bundle), str(tmp_path / "served")]) == 3
    assert r"\udcff\nfingerprint 0: is not in SHA256SUMS" in capsys.readouterr().err


def test_promote_says_that_no_fingerprint_was_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, served = made_bundle.write(tmp_path / "bundle"), str(tmp_path / "served")
    assert cli.main(["promote", str(bundle), served]) == 0
    first, told = capsys.readouterr().out.splitlines()
    assert first == "toy: stable 3"
    assert told.startswith("not compared with a fingerprint") and "--fingerprint" in told
    fingerprint = read(bundle).fingerprint
    assert cli.main(["promote", str(bundle), served, "--fingerprint", fingerprint]) == 0
    assert capsys.readouterr().out == "toy: stable 3\n"


def test_worker_files_are_written_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["worker-files", str(tmp_path / "new")]) == 0
    named = capsys.readouterr().out.splitlines()
    assert sorted(named) == sorted(str(path) for path in (tmp_path / "new").iterdir())
    assert str(tmp_path / "new" / "Dockerfile") in named


def test_worker_files_that_cannot_be_written_exit_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert cli.main(["worker-files", str(tmp_path / "file")]) == 2
    assert "DIR: must be a folder" in capsys.readouterr().err


def test_console_script_runs_from_anywhere(tmp_path: Path) -> None:
    script = Path(sys.executable).parent / "tpuline"
    done = subprocess.run([script, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert "exit codes" in done.stdout
