"""Errors that the command line turns into exit codes; everything else is a fault of ours."""

from __future__ import annotations


class ConfigError(ValueError):
    """The config or the command cannot be used as it is. Exit code 2."""

    def __init__(self, problems: list[str], *, source: str = "config") -> None:
        self.problems = problems
        super().__init__("\n".join([f"{source} cannot be used:", *(f"  {p}" for p in problems)]))


class StageError(RuntimeError):
    """A stage failed; names the stage and the folder it worked in. Exit code 1."""

    def __init__(self, stage: str, workdir: str, cause: BaseException) -> None:
        self.stage = stage  # as of `plan.Step.name`
        reason = str(cause) or type(cause).__name__
        if not isinstance(cause, ValueError):
            reason = f"{type(cause).__name__}: {reason}"
        self.reason = reason
        super().__init__(f"{stage} failed: {reason}\n  work folder: {workdir}")
