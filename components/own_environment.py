"""Folders of packages that cannot live beside ours: made once, on first use, in the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from .child_process import run_child
from .stage import Log

READY = "tpuline-ready"
"""The file that says that a folder is whole."""


def environment(
    folder: Path, requirements: Sequence[str], *, what: str, announce: str, remedy: str, log: Log
) -> Path:
    """The interpreter of a virtual environment with these packages, made when it is not there.

    Raises:
        RuntimeError: it cannot be made; begins with `what`, ends with `remedy`.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def make() -> None:
        venv = [sys.executable, "-m", "venv", "--clear", str(folder)]
        run_child(venv, task="making an environment", log=log)
        install = [str(python), "-I", "-m", "pip", "install", "--disable-pip-version-check"]
        run_child([*install, "--quiet", *requirements], task=f"installing {what}", log=log)

    if not python.exists():  # nor where the Python that it was made from is gone
        (folder / READY).unlink(missing_ok=True)
    make_once(
        folder,
        make,
        announce=announce,
        what=f"{what}: an environment with {' '.join(requirements)}",
        remedy=remedy,
        log=log,
    )
    return python


def answer_of(python: Path, program: str) -> str:
    """What `program` prints under another Python; `RuntimeError` when it fails."""
    done = subprocess.run(
        [str(python), "-I", "-c", program], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["it cannot be run"])[-1])
    return done.stdout


def make_once(
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
        if (folder / READY).exists():
            return
        log.info(announce)
        try:
            make()
        except RuntimeError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise RuntimeError(
                f"{what} must be made in {folder}; {error}; connect to a package index{remedy}"
            ) from error
        (folder / READY).touch()
