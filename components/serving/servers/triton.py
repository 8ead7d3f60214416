"""NVIDIA Triton from the package index: PyTriton's wheel carries the server, without CUDA too.

PyTriton holds numpy below 2, so that it has an environment of its own, made on first use in the
cache, with the TensorFlow that is installed here. In it `triton_child` loads the model by
`serving.answering`, as everywhere, behind Triton's batcher.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from ... import files, own_environment
from ...stage import Log
from ...wheels import tensorflow_version
from ..labels import MODELS_FILE
from .starting import Command, Kind, Ports

PYTRITON = "0.7.0"
VARIABLE = "TPULINE_TRITON_PYTHON"
_SHARED = ("tensorflow-text", "tensorflow-serving-api")
"""Besides TensorFlow, of the version that made the model; the last reads `models.config`."""

_LIBRARY_FOLDER = "import sysconfig; print(sysconfig.get_config_var('LIBDIR') or '')"
_VERSION = "from importlib.metadata import version; print(version('nvidia-pytriton'))"
_START = (
    "import importlib, sys, types\n"
    "for name, places in (('tpuline', []), ('tpuline.components', [sys.argv.pop(1)])):\n"
    "    sys.modules[name] = types.ModuleType(name)\n"
    "    sys.modules[name].__path__ = places\n"
    "importlib.import_module('tpuline.components.serving.servers.triton_child').main()\n"
)
"""Our components are not installed there; only the few modules that serve are imported."""


def kind(environ: Mapping[str, str], log: Log, *, max_batch_size: int, max_delay_us: int) -> Kind:
    """How Triton is started; its batcher puts requests together up to `max_batch_size` texts, and
    waits at most `max_delay_us` microseconds for more.

    Of a served folder it follows what is labelled stable (see `serving.labels`).
    """

    def command(folder: Path, model: str, ports: Ports) -> Command:
        if not any((folder / file).is_file() for file in ("saved_model.pb", MODELS_FILE)):
            raise ValueError(
                "targets: triton serves a SavedModel here, or follows a served folder; received "
                f"{folder}, which is neither; measure other formats in process"
            )
        python = interpreter(environ, log)
        request = {
            "folder": str(folder.resolve()),
            "model": model,
            "http_port": ports.http,
            "grpc_port": ports.grpc,
            "max_batch_size": max_batch_size,
            "max_delay_us": max_delay_us,
        }
        components = Path(__file__).resolve().parents[2]
        return Command(
            arguments=(str(python), "-P", "-c", _START, str(components), json.dumps(request)),
            environ=_child_environ(environ, python),
            ready_path=f"/v2/models/{model}/ready",
        )

    return command


def interpreter(environ: Mapping[str, str], log: Log) -> Path:
    """The Python that has PyTriton: that of the variable, or of a folder made on first use.

    Raises:
        ValueError: the variable names none that has it.
        RuntimeError: the environment cannot be made.
    """
    named = environ.get(VARIABLE)
    if named is None:
        return _made(log)
    try:
        own_environment.answer_of(Path(named), _VERSION)
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"{VARIABLE}: must be a Python with nvidia-pytriton and tensorflow-text; received "
            f"{named} ({error}); unset it, and an environment is made"
        ) from error
    return Path(named)


def _made(log: Log) -> Path:
    versions = {name: metadata.version(name) for name in _SHARED}
    versions["tensorflow"] = tensorflow_version()  # whichever build of it is here
    name = f"triton-{PYTRITON}-tf{versions['tensorflow']}-py{sys.version_info[1]}"
    folder = files.cache_folder() / name
    return own_environment.environment(
        folder,
        [
            f"nvidia-pytriton=={PYTRITON}",
            *(f"{name}=={version}" for name, version in versions.items()),
        ],
        what="triton",
        announce=f"making {folder} with Triton and TensorFlow: 2.5 GB, some minutes, once "
        f"({VARIABLE} names another Python instead)",
        remedy=f", or set {VARIABLE} to a Python that has them",
        log=log,
    )


def _child_environ(environ: Mapping[str, str], python: Path) -> dict[str, str]:
    """Ours, but for what would bring our packages along.

    Triton's Python backend links libpython by name: without the folder of the one in use it takes
    the system's, whose standard library does not fit.
    """
    library_folder = own_environment.answer_of(python, _LIBRARY_FOLDER).strip()
    own = {name: value for name, value in environ.items() if name != "PYTHONPATH"}
    libraries = [library_folder, own.get("LD_LIBRARY_PATH", "")]
    own["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, libraries))
    own["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    own["TF_CPP_MIN_LOG_LEVEL"] = "2"
    return own
