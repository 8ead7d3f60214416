"""Checkpoints: everything a training needs to go on as if it had not been interrupted.

    <place>/000003.step-500/state.npz          arrays: variables of model and optimizer
                            best.weights.h5    of the best epoch so far, when there is one
                            checkpoint.json    facts, and what the files must be; written last

A folder without its last file, or whose files are not what that tells, is torn, and the one before
it counts. `place` may be a bucket: the disk of a preempted machine is gone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..stage import Log

FORMAT = 3
_FACTS, _STATE, BEST = "checkpoint.json", "state.npz", "best.weights.h5"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A whole checkpoint."""

    step: int
    facts: dict[str, Any]  # JSON types
    folder: str
    has_best: bool

    def arrays(self) -> dict[str, np.ndarray]:
        """The variables by name, on the host."""
        with files.reading(files.join(self.folder, _STATE)) as file, np.load(file) as state:
            return dict(state)

    def fetch_best(self, path: Path) -> None:
        """Copies the best weights to `path`; nothing when there were none."""
        if self.has_best:
            files.copy(files.join(self.folder, BEST), str(path))


class Checkpoints:
    """The last `keep` checkpoints of one training.

    Args:
        place: a folder of this machine, or one in a bucket.
        identity: what the training is: its config, seed and data. A checkpoint of another is
            refused.
        writes: False where another process saves the same.
    """

    def __init__(
        self, place: str, *, keep: int, identity: str, log: Log, writes: bool = True
    ) -> None:
        self.place, self._keep, self._identity, self._log = place, keep, identity, log
        self._writes = writes
        self._torn: set[str] = set()  # names, as far as seen

    def save(
        self,
        step: int,
        *,
        facts: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        best: Path | None,
    ) -> None:
        """Writes one and removes those before the last `keep`, and what is left of torn ones.

        Raises:
            OSError: it could not be written, a full disk say; those before it are untouched.
        """
        if not self._writes:
            return
        before, whole = self._folders()
        number = 1 + int(before[-1].partition(".")[0]) if before else 0
        folder = files.join(self.place, f"{number:06d}.step-{step}")
        try:
            made = {_STATE: _write_arrays(files.join(folder, _STATE), arrays)}
            if best is not None:
                made[BEST] = _describe(str(best))
                files.copy(str(best), files.join(folder, BEST))
            told = {
                "format": FORMAT,
                "identity": self._identity,
                "step": step,
                "files": made,
                "facts": facts,
            }
            files.write_bytes(files.join(folder, _FACTS), json.dumps(told).encode())
        except OSError as error:
            files.remove_folder(folder)
            kept = f"{whole[-1]} is kept" if whole else "there is none before it"
            raise OSError(
                f"train: the checkpoint of step {step} could not be written to {self.place} "
                f"({error}); {kept}; make room and run the same command again"
            ) from error
        for old in sorted({*before} - {*whole[len(whole) + 1 - self._keep :]}):
            files.remove_folder(files.join(self.place, old))

    def latest(self) -> Checkpoint | None:
        """The newest whole one; torn ones are passed over with a warning, and so is it told when
        there is no other.

        Raises:
            ValueError: it is that of another config, seed or data, or of another version.
        """
        names, _ = self._folders()
        for name in reversed(names):
            folder = files.join(self.place, name)
            told = _whole(folder)
            if told is None:
                self._torn.add(name)
                self._log.warning(f"train: a checkpoint is torn and was passed over: {folder}")
                continue
            if told["identity"] != self._identity:
                raise ValueError(
                    f"train: a checkpoint must be of this very config, seed and data; received "
                    f"{folder}, which is of another; remove {self.place} to train from the start"
                )
            return Checkpoint(
                step=told["step"],
                facts=told["facts"],
                folder=folder,
                has_best=BEST in told["files"],
            )
        if names:
            self._log.warning(
                f"train: no checkpoint in {self.place} is whole; training begins anew"
            )
        return None

    def _folders(self) -> tuple[list[str], list[str]]:
        """Names of checkpoints in the order in which they were written: all, torn ones too, and
        those that have their last file and were not found to be torn.
        """
        start = self.place.rstrip("/") + "/"
        parts = [info.path.removeprefix(start).split("/") for info in files.below(self.place)]
        parts = [part for part in parts if part[0].partition(".")[0].isdigit()]
        ended = {part[0] for part in parts if part[1:] == [_FACTS]}
        return sorted({part[0] for part in parts}), sorted(ended - self._torn)


def _write_arrays(path: str, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    with files.appearing(path) as draft:
        with draft.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        return _describe(str(draft))


def _describe(path: str) -> dict[str, Any]:
    with files.reading(path) as file:
        digest, size = hashlib.sha256(), 0
        for block in _blocks(file):
            digest.update(block)
            size += len(block)
    return {"size_bytes": size, "sha256": digest.hexdigest()}


def _blocks(file: Any) -> Iterator[bytes]:
    while block := file.read(files.COPY_BYTES):
        yield block


class _OtherFormat(ValueError):
    """Whole, as far as can be seen, and not to be read here."""


def _whole(folder: str) -> dict[str, Any] | None:
    """What the last file of a checkpoint tells, when its files are so; else None."""
    try:
        told = json.loads(files.read_bytes(files.join(folder, _FACTS)))
        if told["format"] != FORMAT:
            raise _OtherFormat(
                f"train: a checkpoint must be of format {FORMAT}; received {folder} of format "
                f"{told['format']}, which another version of tpuline wrote; let that version "
                "finish, or remove the folder to train from the start"
            )
        for name, description in told["files"].items():
            if _describe(files.join(folder, name)) != description:
                return None
    except _OtherFormat:
        raise
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return told if isinstance(told["facts"], dict) else None
