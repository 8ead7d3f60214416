"""What reaches the disk, and when: for what must outlive a power cut, which no test can have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def renamed_unflushed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fills with every path that is not on the disk as it must be: one that gets its name before it
    and all below it are flushed, and a folder whose names are not flushed after that."""
    flushed: set[str] = set()
    wrong: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        fsync(descriptor)
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        flushed.add(path)
        if path in wrong:
            wrong.remove(path)

    def noted_replace(source: str | Path, target: str | Path) -> None:
        parts = [Path(source), *Path(source).rglob("*")]
        wrong.extend(str(part) for part in parts if str(part) not in flushed)
        replace(source, target)
        wrong.append(str(Path(target).parent))

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    return wrong
