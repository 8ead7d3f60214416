"""A served folder -> answers of the version that a label stands on, switched while it serves.

For servers in Python; TF Serving follows `models.config` by itself.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import labels
from .answering import PROBABILITIES, Answering, SavedModel, load
from .bundle import WARMUP_FILE

if TYPE_CHECKING:
    import numpy as np

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    version: int
    model: Answering
    shape: tuple[tuple[str, ...], int, tuple[str, ...]]  # inputs, number of labels, outputs


def _shape(model: Answering) -> tuple[tuple[str, ...], int, tuple[str, ...]]:
    answer = model.texts([["a"] for _ in model.inputs])
    return model.inputs, answer[PROBABILITIES].shape[1], tuple(sorted(answer))


class Followed(Answering):
    """Looks at `models.config` every `poll_s` seconds. Another version is loaded and warmed up
    beside the one that answers, and then takes its place in one step: a request is answered by one
    version as a whole, and none waits. One that cannot be loaded changes nothing and is logged.

    Raises:
        ValueError: the folder serves no such model, or not under the label.
    """

    def __init__(
        self, served: Path, name: str, *, label: str = labels.STABLE, poll_s: float = 1.0
    ) -> None:
        self._served, self._name, self._label = served, name, label
        self._failed: int | None = None  # a version that is not tried again
        self._told = ""
        self._loaded = self._load(self._wanted())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, args=(poll_s,), daemon=True)
        self._thread.start()

    @property
    def version(self) -> int:
        """That answers now."""
        return self._loaded.version

    @property
    def inputs(self) -> tuple[str, ...]:
        return self._loaded.model.inputs

    def texts(self, columns: Sequence[Sequence[str | bytes]]) -> dict[str, np.ndarray]:
        return self._loaded.model.texts(columns)

    def token_ids(self, columns: Sequence[Sequence[str | bytes]]) -> np.ndarray:
        return self._loaded.model.token_ids(columns)

    def close(self) -> None:
        """Follows no more."""
        self._stop.set()
        self._thread.join()

    def _wanted(self) -> int:
        known = labels.read(self._served)
        version = known.get(self._name, {}).get(self._label)
        if version is None:
            raise ValueError(
                f"{self._served}: must serve {self._name} as {self._label}; received {known}; "
                "promote its bundle"
            )
        return version

    def _load(self, version: int) -> _Loaded:
        folder = self._served / self._name / str(version)
        model = load(folder)
        if isinstance(model, SavedModel) and (folder / WARMUP_FILE).is_file():
            from . import warmup

            warmup.replay(folder / WARMUP_FILE, model)
        return _Loaded(version=version, model=model, shape=_shape(model))

    def _follow(self, poll_s: float) -> None:
        while not self._stop.wait(poll_s):
            try:
                self._look()
            except Exception as error:  # whatever it is, the version that answers goes on
                if str(error) != self._told:
                    _LOG.exception("%s of %s is not switched", self._name, self._served)
                self._told = str(error)

    def _look(self) -> None:
        version = self._wanted()
        if version == self._loaded.version:
            self._failed = None  # the other one may have been mended when it is wanted again
            return
        if version == self._failed:
            return
        self._failed = version  # until it is loaded: it is tried once
        loaded = self._load(version)
        if loaded.shape != self._loaded.shape:
            raise ValueError(
                f"version {version}: must take and give what version {self._loaded.version} does, "
                f"{self._loaded.shape}; received {loaded.shape}; serve it under another name"
            )
        self._loaded, self._failed = loaded, None
