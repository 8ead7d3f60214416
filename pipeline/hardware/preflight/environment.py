"""The Python that holds the TPU compiler: an environment of its own, made once or named.

Its libtpu is newer than the one that TensorFlow loads with, and jax does not belong beside
TensorFlow: hence not the environment of this project.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from ....components import files
from ....components.stage import Log
from .processes import run_child

PINS = {"jax": "0.10.2", "jaxlib": "0.10.2", "libtpu": "0.0.52"}
"""What `compile_child` was written for, and whose chips are in `hardware.chips`."""
VARIABLE = "TPULINE_PREFLIGHT_PYTHON"
_READY = "tpuline-ready"
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


def _folder_name() -> str:
    return f"preflight-jax{PINS['jax']}-libtpu{PINS['libtpu']}-py{sys.version_info[1]}"


def _requirements() -> str:
    return " ".join(f"{name}=={version}" for name, version in PINS.items())


def _made(folder: Path, log: Log) -> Path:
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not (folder / _READY).exists():
            log.info(
                f"making {folder} with {_requirements()}: 1.1 GB, about a minute, once "
                f"({VARIABLE} names another Python instead)"
            )
            try:
                _make(folder, python, log)
            except RuntimeError as error:
                shutil.rmtree(folder, ignore_errors=True)
                raise RuntimeError(
                    f"preflight: an environment with {_requirements()} must be made in {folder}; "
                    f"{error}; connect to a package index, or set {VARIABLE} to a Python that has "
                    "them"
                ) from error
            (folder / _READY).touch()
    return python


def _make(folder: Path, python: Path, log: Log) -> None:
    venv = [sys.executable, "-m", "venv", "--clear", str(folder)]
    run_child(venv, task="making an environment", log=log)
    install = [str(python), "-I", "-m", "pip", "install", "--disable-pip-version-check"]
    wanted = [f"{name}=={version}" for name, version in PINS.items()]
    run_child([*install, "--quiet", *wanted], task="installing the TPU compiler", log=log)
