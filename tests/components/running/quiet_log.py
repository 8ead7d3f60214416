"""A log that keeps what it is told."""

from __future__ import annotations

from typing import Any


class QuietLog:
    """`stage.Log` without a sink."""

    def __init__(self) -> None:
        self.infos: list[str] = []
        self.warnings: list[str] = []

    def info(self, message: str, **facts: Any) -> None:
        self.infos.append(message)

    def warning(self, message: str, **facts: Any) -> None:
        self.warnings.append(message)

    def progress(self, task: str, completed: float, total: float | None, note: str = "") -> None:
        pass
