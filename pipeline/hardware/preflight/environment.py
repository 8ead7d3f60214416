"""Where the children of a preflight find their packages: folders made once, or a named Python.

The TPU compiler has an environment of its own: its libtpu is newer than the one that TensorFlow
loads with, and jax does not belong beside TensorFlow. A step is lowered by TensorFlow on the CPU,
for which its build for TPUs has no XLA: there the build for CPUs comes into a folder of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

from filelock import FileLock

from ....components import files
from ....components.stage import Log
from .processes import run_child

PINS = {"jax": "0.10.2", "jaxlib": "0.10.2", "libtpu": "0.0.52"}
"""What `compile_child` was written for, and whose chips are in `hardware.chips`."""
VARIABLE = "TPULINE_PREFLIGHT_PYTHON"
_READY = "tpuline-ready"
_XLA = ("XLA_", "TF_XLA_")  # beginnings of variables that would change what is lowered
_VERSIONS = (
    "import json; from importlib.metadata import version; "
    f"print(json.dumps({{name: version(name) for name in {list(PINS)}}}))"
)


def compiler_python(environ: Mapping[str, str], log: Log) -> Path:
    """The interpreter to compile with: that of the variable, or of a folder made on first use.

    Raises:
        ValueError: the variable names none that has jax and libtpu.
        RuntimeError: the environment cannot be made.
    """
    named = environ.get(VARIABLE)
    if named is None:
        return _made(files.cache_folder() / _folder_name(), log)
    try:
        versions(Path(named))
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"{VARIABLE}: must be a Python with {_requirements()}; received {named} ({error}); "
            "unset it, and an environment is made"
        ) from error
    return Path(named)


def versions(python: Path) -> dict[str, str]:
    """Of what decides how a program is compiled; `RuntimeError` when something is missing."""
    done = subprocess.run(
        [str(python), "-I", "-c", _VERSIONS], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["it cannot be run"])[-1])
    found: dict[str, str] = json.loads(done.stdout)
    return found


def lowering_environ(environ: Mapping[str, str], log: Log) -> dict[str, str]:
    """The variables of a process that lowers: it imports a TensorFlow with XLA for CPUs.

    Raises:
        RuntimeError: the build for TPUs is installed, and that for CPUs cannot be had.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith(_XLA)}
    try:
        version = metadata.version("tensorflow-tpu")
    except metadata.PackageNotFoundError:
        return kept
    package = f"tensorflow-cpu=={version}"
    folder = files.cache_folder() / f"tensorflow-cpu-{version}-py{sys.version_info[1]}"

    def make() -> None:
        install = [sys.executable, "-P", "-m", "pip", "install", "--disable-pip-version-check"]
        options = ["--quiet", "--no-deps", "--upgrade", "--target", str(folder)]
        own = {**environ, "PIP_USER": "0"}  # which --target does not go with
        run_child([*install, *options, package], task=f"installing {package}", log=log, environ=own)

    _make_once(
        folder,
        make,
        announce=f"making {folder} with {package}, which lowers the step: 1 GB, once",
        what=f"a folder with {package}",
        remedy=f", or have pip install {package} into {folder} and put a file {_READY} there",
        log=log,
    )
    path = os.pathsep.join(filter(None, [str(folder), environ.get("PYTHONPATH", "")]))
    return {**kept, "PYTHONPATH": path}


def _folder_name() -> str:
    return f"preflight-jax{PINS['jax']}-libtpu{PINS['libtpu']}-py{sys.version_info[1]}"


def _requirements() -> str:
    return " ".join(f"{name}=={version}" for name, version in PINS.items())


def _made(folder: Path, log: Log) -> Path:
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def make() -> None:
        venv = [sys.executable, "-m", "venv", "--clear", str(folder)]
        run_child(venv, task="making an environment", log=log)
        install = [str(python), "-I", "-m", "pip", "install", "--disable-pip-version-check"]
        wanted = [f"{name}=={version}" for name, version in PINS.items()]
        run_child([*install, "--quiet", *wanted], task="installing the TPU compiler", log=log)

    if not python.exists():  # nor where the Python that it was made from is gone
        (folder / _READY).unlink(missing_ok=True)
    _make_once(
        folder,
        make,
        announce=f"making {folder} with {_requirements()}: 1.1 GB, about a minute, once "
        f"({VARIABLE} names another Python instead)",
        what=f"an environment with {_requirements()}",
        remedy=f", or set {VARIABLE} to a Python that has them",
        log=log,
    )
    return python


def _make_once(
    folder: Path,
    make: Callable[[], None],
    *,
    announce: str,
    what: str,
    log: Log,
    remedy: str = "",
) -> None:
    """Has `make` fill `folder` unless it is whole; of several processes one does, the others wait.

    Raises:
        RuntimeError: `make` did; nothing is left.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if (folder / _READY).exists():
            return
        log.info(announce)
        try:
            make()
        except RuntimeError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise RuntimeError(
                f"preflight: {what} must be made in {folder}; {error}; connect to a package "
                f"index{remedy}"
            ) from error
        (folder / _READY).touch()
