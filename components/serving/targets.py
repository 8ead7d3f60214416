"""Names of what answers requests: the model in a process, a server started here, a running one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from . import answering

if TYPE_CHECKING:
    import numpy as np

IN_PROCESS = "in_process"
EXAMPLES = "in_process, triton+grpc, tf_serving+http://10.0.0.3:8501/classifier"

_PATTERN = re.compile(
    r"(?P<server>triton|tf_serving)\+(?P<transport>http|grpc)"
    r"(://(?P<address>[A-Za-z0-9_.\-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5})"
    r"(/(?P<model>[A-Za-z0-9_.\-]+))?)?"
)


class Asked(Protocol):
    """Whatever answers raw texts, as `answering.Answering` does."""

    def texts(self, columns: Sequence[Sequence[str | bytes]]) -> dict[str, np.ndarray]:
        """See `answering.Answering.texts`. May be called from several threads at once."""

    def close(self) -> None:
        """Gives connections back."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One way to a model. `triton` speaks KServe v2: any server of that protocol will do."""

    server: Literal["in_process", "triton", "tf_serving"]
    transport: Literal["", "http", "grpc"] = ""
    address: str = ""  # HOST:PORT of a running server; empty: one is started
    model: str = ""  # empty: the name that export gave

    @property
    def name(self) -> str:
        """As the config writes it."""
        if self.server == IN_PROCESS:
            return IN_PROCESS
        place = f"://{self.address}" if self.address else ""
        return f"{self.server}+{self.transport}{place}" + (f"/{self.model}" if self.model else "")


def parse(text: str) -> Target:
    """The target that a config names.

    Raises:
        ValueError: it names none.
    """
    if text == IN_PROCESS:
        return Target(server="in_process")
    found = _PATTERN.fullmatch(text)
    if found is None:
        raise ValueError(
            "targets: must be in_process, or triton or tf_serving with +http or +grpc, and "
            f"://HOST:PORT[/MODEL] for a server that runs already; received {text!r}; "
            f"e.g. {EXAMPLES}"
        )
    return Target(**{name: value or "" for name, value in found.groupdict().items()})  # type: ignore[arg-type]


class InProcess:
    """The model that this process loads."""

    def __init__(self, folder: Path) -> None:
        self._model = answering.load(folder)

    def texts(self, columns: Sequence[Sequence[str | bytes]]) -> dict[str, np.ndarray]:
        return self._model.texts(columns)

    def token_ids(self, columns: Sequence[Sequence[str | bytes]]) -> np.ndarray:
        """See `answering.Answering.token_ids`."""
        return self._model.token_ids(columns)

    def close(self) -> None:
        pass


def connect(
    target: Target,
    *,
    folder: Path | None = None,
    model: str = "",
    version: int | None = None,
    timeout_s: float = 30.0,
) -> closing[Asked]:
    """What answers, to be closed after use. A server is not asked yet.

    `folder` holds the model for `in_process`; `model` is its name where the target has none. Of
    TensorFlow Serving a `version` is asked for, else the one that it offers by itself.
    """
    if target.server == "in_process":
        assert folder is not None
        return closing(InProcess(folder))
    assert target.address, "start a server first"
    from .clients import kserve, tf_serving

    name = target.model or model
    if target.server == "tf_serving":
        asked = tf_serving.OverHttp if target.transport == "http" else tf_serving.OverGrpc
        return closing(asked(target.address, name, version=version, timeout_s=timeout_s))
    made = kserve.OverHttp if target.transport == "http" else kserve.OverGrpc
    return closing(made(target.address, name, timeout_s=timeout_s))
