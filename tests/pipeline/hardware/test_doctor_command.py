"""`tpuline doctor`: what it prints, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.hardware import fake_machines as machines
from tpuline.pipeline import cli
from tpuline.pipeline.hardware import doctor


def test_command_prints_json_and_exits_by_what_it_found(
    tmp_path: Path, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.main(["doctor", str(checkout / "configs/demo.yaml"), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == (0 if found["ok"] else 1)
    assert found["packages"]["keras"]


def test_command_looks_for_what_the_changed_config_needs(
    tmp_path: Path,
    checkout: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = machines.laptop(tmp_path)
    machine.install(machines.CPU_LANE)
    monkeypatch.setattr(doctor, "World", machine.world)
    config = str(checkout / "configs/demo.yaml")
    assert cli.main(["doctor", config]) == 0
    change = ["--set", "hardware={strategy: tpu}"]
    capsys.readouterr()
    assert cli.main(["doctor", config, *change, "--json"]) == 1
    (told,) = json.loads(capsys.readouterr().out)["findings"]
    assert told["name"] == "no-tpu"
    assert f"{config} --set 'hardware={{strategy: tpu}}' --set hardware.str" in told["mend"]


def test_command_refuses_a_change_of_no_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--set", "seed=1"]) == 2
    assert "--set: changes a value of CONFIG; received no CONFIG" in capsys.readouterr().err


def test_command_refuses_a_config_that_cannot_be_used(tmp_path: Path) -> None:
    assert cli.main(["doctor", str(tmp_path / "none.yaml")]) == 2


@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "configs/demo.yaml", "--json"]])
def test_command_imports_no_tensorflow(checkout: Path, arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from tpuline.pipeline.cli import main\n"
        "main(sys.argv[1:])\n"
        "print('loaded', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = done.stdout.splitlines()[-1].split()
    assert "tpuline" in loaded
    assert not {"tensorflow", "keras", "keras_hub", "jax", "apache_beam"} & set(loaded)
