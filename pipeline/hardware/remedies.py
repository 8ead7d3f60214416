"""Where this runs, and how a command is written there. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Place = Literal["Kaggle", "Colab", "TPU VM", "elsewhere"]


def place_of(environ: Mapping[str, str], *, has_tpu: bool) -> Place:
    """Kaggle first: its image is made from Colab's and has the variables of both."""
    if environ.get("KAGGLE_KERNEL_RUN_TYPE"):
        return "Kaggle"
    if environ.get("COLAB_RELEASE_TAG") or environ.get("COLAB_BACKEND_VERSION"):
        return "Colab"
    return "TPU VM" if has_tpu else "elsewhere"


@dataclass(frozen=True, kw_only=True)
class Remedies:
    """Commands to paste: into a cell where there is a notebook, else into a shell."""

    place: Place
    python: str  # the one that runs this: another would mend another environment
    has_pip: bool  # an environment made by uv has none

    @property
    def in_notebook(self) -> bool:
        return self.place in ("Kaggle", "Colab")

    def shell(self, command: str) -> str:
        return f"!{command}" if self.in_notebook else command

    def install(self, *packages: str) -> str:
        """Exactly these packages: what they ask for is left alone, CPU TensorFlow above all."""
        return self.shell(self._pip("install", "--no-deps", *packages))

    def install_with_needs(self, *packages: str) -> str:
        """These packages and what they ask for."""
        return self.shell(self._pip("install", *packages))

    def install_lock(self, lock_file: str, *, old: Sequence[str] = ()) -> str:
        """Exactly what a lock file names, once the packages that are in its way are gone."""
        return self._instead(old, self._pip("install", "--no-deps", "--requirement", lock_file))

    def replace(self, old: Sequence[str], *new: str) -> str:
        """Takes out builds that share files with `new`, and puts those files back."""
        again = "--force-reinstall" if self.has_pip else "--reinstall"
        return self._instead(old, self._pip("install", again, "--no-deps", *new))

    def _instead(self, old: Sequence[str], install: str) -> str:
        if not old:
            return self.shell(install)
        sure = ["--yes"] if self.has_pip else []
        return self.shell(f"{self._pip('uninstall', *sure, *old)} && {install}")

    def set_variable(self, name: str, value: str) -> str:
        return f"%env {name}={value}" if self.in_notebook else f"export {name}={value}"

    def unset_variable(self, name: str) -> str:
        if self.in_notebook:
            return f'import os; os.environ.pop("{name}")'
        return f"unset {name}"

    def another_runtime(self) -> str | None:
        """Where a notebook gets a TPU; None where a machine is what it is."""
        menus = {
            "Colab": "menu Runtime > Change runtime type > a TPU",
            "Kaggle": "menu Settings > Accelerator > a TPU",
        }
        return menus.get(self.place)

    def larger_runtime(self) -> str | None:
        """Where a notebook gets more memory; None where a machine is what it is."""
        menus = {
            "Colab": "menu Runtime > Change runtime type > High RAM",
            "Kaggle": "menu Settings > Accelerator > a TPU, whose host has more memory",
        }
        return menus.get(self.place)

    def _pip(self, verb: str, *words: str) -> str:
        start = f"{self.python} -m pip {verb}"
        if not self.has_pip:
            start = f"uv pip {verb} --python {self.python}"
        return " ".join([start, *map(shlex.quote, words)])
