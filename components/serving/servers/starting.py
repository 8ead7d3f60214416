"""Servers that are started for a while on free ports of this machine, and stopped again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

from ..clients.connections import HttpConnections, RequestFailed
from ..targets import Target

READY_S = 180.0
"""Most seconds until a server has loaded a model."""

STOP_S = 20.0
_POLL_S = 0.2
_TAIL = 2000
_DEEP_STACKS = (
    "/bin/sh",
    "-c",
    'ulimit -S -s 1048576 2>/dev/null || ulimit -S -s $(ulimit -H -s); exec "$@"',
    "sh",
)
"""Before a command: its threads get stacks of 1 GiB, or as large as may be. Triton and TensorFlow
Serving read the JSON of a tensor by recursion, some 300 bytes a list, and end where the stack does:
at 8 MiB, of 50,000 lists in each other (CVE-2025-0649). It is address space, and no memory."""

_WATCH = (
    "import os, signal, sys, time\n"
    "sys.stdin.buffer.read()\n"  # until the other end of the pipe is gone
    "for number in (signal.SIGTERM, signal.SIGKILL):\n"
    "    os.killpg(int(sys.argv[1]), number)\n"
    "    time.sleep(float(sys.argv[2]))\n"
)


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Where a server listens; TensorFlow Serving on all interfaces, others on the loopback one."""

    http: int
    grpc: int


@dataclass(frozen=True, kw_only=True)
class Command:
    """How a server is started."""

    arguments: tuple[str, ...]
    environ: dict[str, str]
    ready_path: str  # HTTP GET; 200 and `ready_words` in the answer: it serves
    ready_words: str = ""


class NotStarted(RuntimeError):
    """A server that was started here ended, or was not ready in time: it serves no model."""


class Kind(Protocol):
    """A kind of server that can be started here."""

    def __call__(self, folder: Path, model: str, ports: Ports) -> Command:
        """Serves the model in `folder`, `<name>/<version>`, under the name `model`."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a target can be asked."""

    target: Target  # with its address
    pid: int | None  # of the server; None: it was not started here


class Servers:
    """Starts each kind of server once, when it is first needed. To be used in a `with`."""

    def __init__(self, kinds: dict[str, Kind]) -> None:
        self._kinds = kinds
        self._running: dict[tuple[str, Path, str], tuple[Ports, int]] = {}
        self._failed: dict[tuple[str, Path, str], NotStarted] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.close()

    def place(self, target: Target, folder: Path, model: str) -> Place:
        """Where `target` serves the model; starts its server if it has no address.

        Raises:
            ValueError: the server is not installed, or cannot serve such a model.
            NotStarted: it did not start, now or when it was needed before; with the end of its
                output.
        """
        if target.address:
            return Place(target=target, pid=None)
        key = (target.server, folder, model)
        if key in self._failed:
            raise self._failed[key]
        if key not in self._running:
            started = running(self._kinds[target.server], folder, model, name=target.server)
            try:
                self._running[key] = self._stack.enter_context(started)
            except NotStarted as error:
                self._failed[key] = error
                raise
        ports, pid = self._running[key]
        address = f"127.0.0.1:{getattr(ports, target.transport)}"
        return Place(target=replace(target, address=address), pid=pid)


@contextmanager
def running(kind: Kind, folder: Path, model: str, *, name: str) -> Any:
    """Ports and process of a server that serves the model; it is stopped at the end.

    Raises:
        NotStarted: it ended, or was not ready in time; with the end of its output.
    """
    ports = Ports(http=free_port(), grpc=free_port())
    command = kind(folder, model, ports)
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            (*_DEEP_STACKS, *command.arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=command.environ,
            start_new_session=True,  # so that all that it starts can be stopped with it
        )
        try:
            with _gone_with_us(process):
                try:
                    _wait(process, ports, command, lambda: _end_of(output), name)
                    yield ports, process.pid
                finally:
                    _stop(process)
        finally:  # where it could not even be watched
            _stop(process)


@contextmanager
def _gone_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ends `process` and all that it started when this process is gone in the meantime, however it
    ended: no server could be relied upon to look after that.
    """
    watch = (sys.executable, "-I", "-S", "-c", _WATCH, str(process.pid), str(STOP_S))
    with subprocess.Popen(
        watch, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as watcher:
        try:
            yield
        finally:
            watcher.kill()


def free_port() -> int:
    """A port that nobody listened to a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _wait(
    process: subprocess.Popen[bytes],
    ports: Ports,
    command: Command,
    output: Callable[[], str],
    name: str,
) -> None:
    connections = HttpConnections(f"127.0.0.1:{ports.http}", timeout_s=5.0)
    deadline = time.monotonic() + READY_S
    try:
        while not _is_ready(connections, command):
            code = process.poll()
            if code is not None or time.monotonic() > deadline:
                what = f"was not ready after {READY_S:.0f} s" if code is None else f"ended ({code})"
                raise NotStarted(f"{name}: the server {what}; the end of its output:\n{output()}")
            time.sleep(_POLL_S)
    finally:
        connections.close()


def _is_ready(connections: HttpConnections, command: Command) -> bool:
    try:
        status, _, body = connections.ask("GET", command.ready_path)
    except RequestFailed:
        return False
    return status == 200 and command.ready_words.encode() in body


def _end_of(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode(errors="replace")[-_TAIL:].strip()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Asks it to end, and kills all of its processes where it does not; once."""
    if process.returncode is not None:
        return
    process.terminate()  # nothing happens when it has ended
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    with suppress(ProcessLookupError):  # nobody is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
