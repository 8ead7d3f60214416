"""What was found of a bundle -> accept or reject, with reasons, for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .bundle import printable


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    passed: bool | None  # None: it is told only, and was not judged
    message: str

    def line(self) -> str:
        """For people."""
        mark = "--  " if self.passed is None else "ok  " if self.passed else "FAIL"
        return printable(f"{mark}  {self.name:<12} {self.message}")


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """The verdict."""

    accepted: bool
    bundle: str
    target: str  # "in_process", or the server that was asked
    name: str  # of the model; empty where the bundle could not be read
    version: int
    fingerprint: str
    checks: tuple[Check, ...]

    def lines(self) -> Iterator[str]:
        """For people."""
        for check in self.checks:
            yield check.line()
        model = f"{self.name} {self.version}: " if self.name else ""
        yield f"{model}{'accept' if self.accepted else 'reject'}"
        if self.fingerprint:
            yield f"fingerprint {self.fingerprint}"
