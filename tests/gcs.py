"""Google Cloud Storage on this machine: a real emulator in a process of its own.

    def test_x(gcs_emulator: str) -> None:  # "gs://bucket-3", empty, this test's own

The libraries are told by environment variables, which child processes inherit. Without credentials
Beam asks the network for some for half a minute: it gets a key made here, whose tokens a small
server hands out.
"""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError

import pytest

_NUMBERS = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class GcsServer:
    """Where the emulator listens, and the environment that leads the libraries there."""

    url: str
    environment: dict[str, str]

    def make_bucket(self) -> str:
        """The URL of a new bucket."""
        name = f"bucket-{next(_NUMBERS)}"
        body = json.dumps({"name": name}).encode()
        request = urllib.request.Request(
            f"{self.url}/storage/v1/b",
            data=body,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request):
            return f"gs://{name}"


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    """The emulator and a server of tokens, for the session."""
    tokens = ThreadingHTTPServer(("127.0.0.1", 0), _Tokens)
    threading.Thread(target=tokens.serve_forever, daemon=True).start()
    key = tmp_path_factory.mktemp("gcs") / "key.json"
    key.write_text(_service_account(f"http://127.0.0.1:{tokens.server_port}/token"))
    port = _free_port()
    command = [sys.executable, "-m", "gcp_storage_emulator", "start", "--quiet", "--in-memory"]
    emulator = subprocess.Popen([*command, "--host=127.0.0.1", f"--port={port}"])
    url = f"http://localhost:{port}"
    try:
        _wait_for(url, emulator)
        environment = {
            "STORAGE_EMULATOR_HOST": url,
            "GOOGLE_APPLICATION_CREDENTIALS": str(key),
            "NO_GCE_CHECK": "true",
        }
        yield GcsServer(url=url, environment=environment)
    finally:
        emulator.kill()
        emulator.wait()
        tokens.shutdown()
        tokens.server_close()


@pytest.fixture
def gcs_emulator(gcs_server: GcsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty bucket; artifacts are cached below `tmp_path`."""
    for name, value in gcs_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TPULINE_CACHE", str(tmp_path / "cache"))
    return gcs_server.make_bucket()


class _Tokens(BaseHTTPRequestHandler):
    """Answers every request for a token with one that the emulator does not look at."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = {"access_token": "any", "expires_in": 3600, "token_type": "Bearer"}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _service_account(token_uri: str) -> str:
    """Credentials of nobody: a fresh key, and tokens from `token_uri`."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    facts = {
        "type": "service_account",
        "project_id": "project-of-tests",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": "nobody@project-of-tests.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
    }
    return json.dumps(facts)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(url: str, emulator: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and emulator.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise AssertionError(f"the storage emulator does not answer at {url}")
