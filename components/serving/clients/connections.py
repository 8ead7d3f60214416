"""Requests over HTTP on connections that stay open, one a thread; what servers refuse."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Mapping
from email.message import Message

from ...example_spec import TEXT, TEXT_PAIR


class RequestFailed(Exception):
    """A server did not answer, or answered that it will not."""


def named(columns: object) -> dict[str, list[bytes]]:
    """The string inputs of a signature by name, as bytes."""
    assert isinstance(columns, list | tuple)
    return {
        name: [text.encode() if isinstance(text, str) else text for text in column]
        for name, column in zip((TEXT, TEXT_PAIR), columns, strict=False)
    }


class HttpConnections:
    """To one server. Each thread has a connection of its own, for answers come in order."""

    def __init__(self, address: str, timeout_s: float) -> None:
        self.address, self.timeout_s = address, timeout_s
        self._own = threading.local()
        self._all: list[http.client.HTTPConnection] = []

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Message, bytes]:
        """Status, headers (whatever their case) and body of the answer, whatever the status.

        Raises:
            RequestFailed: there is none.
        """
        connection = self._connection()
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()  # the next request connects anew
            raise RequestFailed(f"{self.address}{path}: {type(error).__name__}: {error}") from error

    def close(self) -> None:
        for connection in self._all:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(self.address, timeout=self.timeout_s)
            self._own.connection = connection
            self._all.append(connection)
        return connection


def refused(place: str, status: object, body: bytes | str) -> RequestFailed:
    """An answer that says no."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    return RequestFailed(f"{place}: {status}: {text[:300]}")
