"""Which TensorFlow is installed is read from what pip noted down, also where builds overlap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pip
import pytest

from tests.pipeline.hardware import fake_machines as machines
from tpuline.pipeline.hardware.doctor import World, examine
from tpuline.pipeline.hardware.packages import installed, numbers

LIBRARY = machines.LIBRARY


@pytest.mark.parametrize(
    ("order", "lane", "foreign"),
    [
        (["tensorflow-tpu"], "tpu", ()),
        (["tensorflow"], "cpu and gpu", ()),
        (["tensorflow-cpu"], "cpu", ()),
        ([], "none", ()),
        (["tensorflow-tpu", "tensorflow"], "cpu and gpu", (LIBRARY,)),
        (["tensorflow-tpu", "tensorflow-cpu"], "cpu", (LIBRARY,)),
        (["tensorflow", "tensorflow-tpu"], "tpu", ()),
    ],
)
def test_last_build_installed_is_the_lane(
    tmp_path: Path, order: list[str], lane: str, foreign: tuple[str, ...]
) -> None:
    machine = machines.laptop(tmp_path)
    machine.install(dict.fromkeys(order, "2.20.0"))
    packages = installed([str(machine.site)])
    assert (packages.lane, packages.foreign) == (lane, foreign)
    assert packages.tensorflow == ("2.20.0" if order else None)


def test_library_that_was_removed_is_foreign(tmp_path: Path) -> None:
    machine = machines.laptop(tmp_path)
    machine.install({"tensorflow-tpu": "2.20.0"})
    (machine.site / LIBRARY).unlink()
    packages = installed([str(machine.site)])
    assert (packages.lane, packages.foreign) == ("none", (LIBRARY,))


def test_package_named_tensorflow_without_libraries_is_no_build(tmp_path: Path) -> None:
    """As Dataflow's workers have one, for tensorflow-text to find."""
    machine = machines.laptop(tmp_path)
    machine.install({"tensorflow-tpu": "2.20.0"})
    info = machine.site / "tensorflow-2.20.0+tpu.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: tensorflow\nVersion: 2.20.0+tpu\n")
    packages = installed([str(machine.site)])
    assert packages.versions == {"tensorflow-tpu": "2.20.0"}


def test_first_folder_of_the_path_wins(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    own, system = machines.laptop(tmp_path / "a"), machines.laptop(tmp_path / "b")
    own.install({"libtpu": "0.0.31"})
    system.install({"libtpu": "0.0.52"})
    assert installed([str(own.site), str(system.site)]).versions == {"libtpu": "0.0.31"}


@pytest.mark.parametrize(
    ("version", "leading"),
    [
        ("0.0.32.1", (0, 0, 32, 1)),
        ("2.21.0-rc1", (2, 21, 0)),
        ("0.0.31.dev1", (0, 0, 31)),
        ("", ()),
    ],
)
def test_numbers_lead_a_version(version: str, leading: tuple[int, ...]) -> None:
    assert numbers(version) == leading


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real virtual environment with pip, and wheels of one file each for it to install."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True
    )
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    own = Path(pip.__file__).parent
    (site / "pip").symlink_to(own)
    info = next(own.parent.glob("pip-*.dist-info"))
    (site / info.name).symlink_to(info)
    (folder / "wheels").mkdir()
    machines.wheel(
        folder / "wheels", "tensorflow-tpu", "2.20.0", {LIBRARY: "of the build for TPUs"}
    )
    machines.wheel(
        folder / "wheels", "tensorflow", "2.20.0", {LIBRARY: "of the build for CPUs and GPUs"}
    )
    for version in ("0.0.31", "0.0.52"):
        machines.wheel(folder / "wheels", "libtpu", version, {"libtpu/libtpu.so": version})
    return folder


def run(command: str, environment: Path) -> None:
    """In a shell that has nothing but the wheels."""
    done = subprocess.run(
        command,
        shell=True,
        capture_output=True,
        text=True,
        env={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(environment / "wheels")},
    )
    assert done.returncode == 0, done.stderr


def test_mend_of_a_shadowed_build_mends_it_in_a_real_environment(
    environment: Path, tmp_path: Path
) -> None:
    python = environment / "venv/bin/python"
    run(
        f"{python} -m pip install tensorflow-tpu && {python} -m pip install tensorflow", environment
    )
    (site,) = (environment / "venv").glob("lib/python*/site-packages")
    world = World(environ={}, root=tmp_path, path=[str(site)], executable=str(python))
    seen = {finding.name: finding.mend for finding in examine(world).findings}
    assert "tpu-build-shadowed" in seen
    run(seen["tpu-build-shadowed"], environment)
    assert (site / LIBRARY).read_text() == "of the build for TPUs"
    assert not {f.name for f in examine(world).findings if f.name.startswith("tpu-build")}


def test_mend_of_a_libtpu_too_new_mends_it_in_a_real_environment(
    environment: Path, tmp_path: Path
) -> None:
    python = environment / "venv/bin/python"
    run(f"{python} -m pip install tensorflow-tpu libtpu==0.0.52", environment)
    (site,) = (environment / "venv").glob("lib/python*/site-packages")
    world = World(environ={}, root=tmp_path, path=[str(site)], executable=str(python))
    seen = {finding.name: finding.mend for finding in examine(world).findings}
    assert "0.0.31" in seen["libtpu-version"]
    run(seen["libtpu-version"], environment)
    assert "libtpu-version" not in {finding.name for finding in examine(world).findings}
