"""What is sent to workers: our wheel and what it needs, the same bytes every time."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from tpuline.components.running.worker_package import (
    DISTRIBUTIONS,
    WorkerFiles,
    write_worker_files,
)

IN_DISTRIBUTIONS = {
    "fontTools": "fonttools",
    "google_crc32c": "google-crc32c",
    "numpy": "numpy",
    "py3langid": "py3langid",
    "pyarrow": "pyarrow",
    "rensa": "rensa",
    "scipy": "scipy",
    "sentencepiece": "sentencepiece",
    "tensorflow_text": "tensorflow-text",
    "tokenizers": "tokenizers",
}
# Part of Beam's image, or of what TensorFlow brings along.
ELSEWHERE = {"apache_beam", "google", "grpc", "tensorflow"}
# Imported by the stage itself only.
NOT_THERE = {"filelock", "h5py", "keras", "keras_hub", "sklearn", "tensorflow_datasets", "yaml"}


@pytest.fixture
def made(tmp_path: Path) -> WorkerFiles:
    return write_worker_files(tmp_path / "made")


def test_worker_files_are_the_same_bytes_every_time(made: WorkerFiles, tmp_path: Path) -> None:
    write_worker_files(tmp_path / "again")
    first, second = (
        {path.name: path.read_bytes() for path in folder.iterdir()}
        for folder in (made.wheel.parent, tmp_path / "again")
    )
    assert first == second
    assert len(first) == 4


def test_wheel_holds_the_components_alone(made: WorkerFiles, checkout: Path) -> None:
    names = set(zipfile.ZipFile(made.wheel).namelist())
    modules = (checkout / "components").rglob("*.py")
    assert {f"tpuline/{path.relative_to(checkout).as_posix()}" for path in modules} <= names
    tops = {"/".join(name.split("/")[:2]) for name in names if ".dist-info/" not in name}
    assert tops == {"tpuline/components"}
    assert not [name for name in names if "__pycache__" in name]


def test_pip_installs_the_wheel_without_network_and_it_imports(
    made: WorkerFiles, tmp_path: Path
) -> None:
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", target, made.wheel], check=True)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from tpuline.components import contracts; print(contracts.__file__)"
    )
    # -S: the installation that the tests run in is out of the way
    python = [sys.executable, "-S", "-P", "-c", program, str(target)]
    done = subprocess.run(python, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(target)


def test_requirements_pin_what_is_installed_and_leave_training_out(made: WorkerFiles) -> None:
    pins = made.requirements.read_text().splitlines()
    assert pins == sorted(pins)
    assert all("==" in pin for pin in pins)
    assert not [pin for pin in pins if pin.startswith("keras")]
    for name in ("numpy", "pyarrow"):  # the image has them, of whatever version
        assert f"{name}=={version(name)}" in pins


def test_dockerfile_installs_the_requirements_on_beams_image(made: WorkerFiles) -> None:
    lines = made.dockerfile.read_text().splitlines()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert [line for line in lines if line.startswith(f"FROM apache/beam_python{python}_sdk:")]
    assert f"COPY requirements.txt {made.tensorflow_wheel.name} /opt/tpuline/" in lines


def test_every_library_that_workers_import_is_among_their_requirements(checkout: Path) -> None:
    """A new import in a module that workers use must be named here or in DISTRIBUTIONS."""
    folder = checkout / "components"
    modules = [*folder.glob("*.py"), *(folder / "preprocess").rglob("*.py")]
    imported = {name for module in modules for name in imports(module)}
    assert imported - set(sys.stdlib_module_names) <= {*IN_DISTRIBUTIONS, *ELSEWHERE, *NOT_THERE}
    by_name = {"python-stdnum"}  # import_module("stdnum...")
    assert set(IN_DISTRIBUTIONS.values()) | by_name == set(DISTRIBUTIONS)


def imports(module: Path) -> set[str]:
    """Top names of what is imported anywhere in a module."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(str(node.module).split(".")[0])
    return names
