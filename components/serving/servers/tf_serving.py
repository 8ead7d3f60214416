"""`tensorflow_model_server`, where it is installed. No package index carries it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .starting import Command, Ports

PROGRAM = "tensorflow_model_server"


def command(folder: Path, model: str, ports: Ports) -> Command:
    """Serves all versions beside `folder`, `<name>/<version>`, as it does by itself.

    Raises:
        ValueError: there is no such program, or the folder holds no SavedModel.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise ValueError(
            f"targets: tf_serving needs {PROGRAM} on the PATH; received none; install it, or name "
            "a running server, e.g. tf_serving+grpc://HOST:8500"
        )
    if not (folder / "saved_model.pb").is_file():
        raise ValueError(
            f"targets: tf_serving serves a SavedModel; received {folder}, which is none; "
            "serve this format in process or by triton"
        )
    return Command(
        arguments=(
            program,
            f"--port={ports.grpc}",
            f"--rest_api_port={ports.http}",
            f"--model_name={model}",
            f"--model_base_path={folder.resolve().parent}",
        ),
        environ=dict(os.environ),
        ready_path=f"/v1/models/{model}",
        ready_words='"AVAILABLE"',
    )
