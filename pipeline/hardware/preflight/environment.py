"""Where the children of a preflight find their packages: folders made once, or a named Python.

The TPU compiler has an environment of its own: its libtpu is newer than the one that TensorFlow
loads with, and jax does not belong beside TensorFlow. A step is lowered by TensorFlow on the CPU,
for which its build for TPUs has no XLA: there the build for CPUs comes into a folder of its own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from ....components import files, own_environment
from ....components.child_process import run_child
from ....components.stage import Log

PINS = {"jax": "0.10.2", "jaxlib": "0.10.2", "libtpu": "0.0.52"}
"""What `compile_child` was written for, and whose chips are in `hardware.chips`."""
VARIABLE = "TPULINE_PREFLIGHT_PYTHON"
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
        folder = files.cache_folder() / _folder_name()
        return own_environment.environment(
            folder,
            [f"{name}=={version}" for name, version in PINS.items()],
            what="preflight",
            announce=f"making {folder} with {_requirements()}: 1.1 GB, about a minute, once "
            f"({VARIABLE} names another Python instead)",
            remedy=f", or set {VARIABLE} to a Python that has them",
            log=log,
        )
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
    found: dict[str, str] = json.loads(own_environment.answer_of(python, _VERSIONS))
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

    own_environment.make_once(
        folder,
        make,
        announce=f"making {folder} with {package}, which lowers the step: 1 GB, once",
        what=f"preflight: a folder with {package}",
        remedy=f", or have pip install {package} into {folder} and put a file "
        f"{own_environment.READY} there",
        log=log,
    )
    path = os.pathsep.join(filter(None, [str(folder), environ.get("PYTHONPATH", "")]))
    return {**kept, "PYTHONPATH": path}


def _folder_name() -> str:
    return f"preflight-jax{PINS['jax']}-libtpu{PINS['libtpu']}-py{sys.version_info[1]}"


def _requirements() -> str:
    return " ".join(f"{name}=={version}" for name, version in PINS.items())
