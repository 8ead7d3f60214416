"""Servers are started, waited for and stopped; what goes wrong is told with their own words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tpuline.components.serving.servers import starting, tf_serving
from tpuline.components.serving.servers.starting import Command, Ports, Servers
from tpuline.components.serving.targets import parse

WEB_SERVER = """
import http.server, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"state AVAILABLE")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Started:
    """A kind of server; remembers how often it was started."""

    def __init__(self, program: str, words: str = "AVAILABLE") -> None:
        self.program, self.words, self.count = program, words, 0

    def __call__(self, folder: Path, model: str, ports: Ports) -> Command:
        self.count += 1
        return Command(
            arguments=(sys.executable, "-c", self.program, str(ports.http)),
            environ=dict(os.environ),
            ready_path="/ready",
            ready_words=self.words,
        )


def test_server_is_started_once_for_both_transports_and_stopped_with_all_it_started(
    tmp_path: Path,
) -> None:
    kind = Started(WEB_SERVER)
    with Servers({"triton": kind}) as servers:
        http = servers.place(parse("triton+http"), tmp_path, "m")
        grpc = servers.place(parse("triton+grpc"), tmp_path, "m")
        assert kind.count == 1 and http.pid == grpc.pid and http.pid is not None
        assert http.target.address != grpc.target.address
        family = [psutil.Process(http.pid), *psutil.Process(http.pid).children()]
        assert len(family) == 2
    assert_gone(family)


@pytest.mark.skipif(sys.platform != "linux", reason="looked for prlimit: of Linux only")
def test_server_is_started_with_deep_stacks(tmp_path: Path) -> None:
    with Servers({"triton": Started(WEB_SERVER)}) as servers:
        place = servers.place(parse("triton+http"), tmp_path, "m")
        assert place.pid is not None
        soft, hard = psutil.Process(place.pid).rlimit(psutil.RLIMIT_STACK)
    assert soft == (1 << 30 if hard < 0 else min(1 << 30, hard))


@pytest.mark.parametrize("most_kib", [None, 16384])
def test_server_has_deep_stacks_as_far_as_they_are_allowed(most_kib: int | None) -> None:
    """Nested JSON ends servers that have no more than the usual 8 MiB."""
    bounds = f"ulimit -H -s {most_kib}; " if most_kib else ""
    told = "import resource; print(*resource.getrlimit(resource.RLIMIT_STACK))"
    program = (*starting._DEEP_STACKS, sys.executable, "-c", told)
    bounded = ("/bin/sh", "-c", f'ulimit -S -s 8192; {bounds}exec "$@"', "sh", *program)
    done = subprocess.run(bounded, capture_output=True, text=True, check=True)
    soft, hard = map(int, done.stdout.split())
    assert soft == (1 << 30 if hard < 0 else min(1 << 30, hard)) and not done.stderr


def assert_gone(family: list[psutil.Process]) -> None:
    deadline = time.monotonic() + 10
    while any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family):
        assert time.monotonic() < deadline, "the server is still there"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_server_ends_with_the_process_that_started_it(number: signal.Signals) -> None:
    program = (
        "import time\n"
        "from pathlib import Path\n"
        "from tpuline.components.serving.targets import parse\n"
        "from tests.components.serving.servers.test_starting import WEB_SERVER, Servers, Started\n"
        "with Servers({'triton': Started(WEB_SERVER)}) as servers:\n"
        "    print(servers.place(parse('triton+http'), Path(), 'm').pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    server = psutil.Process(int(starter.stdout.readline()))
    family = [server, *server.children()]
    assert len(family) == 2
    starter.send_signal(number)
    starter.wait()
    starter.stdout.close()
    assert_gone(family)


def test_server_that_runs_elsewhere_is_not_started(tmp_path: Path) -> None:
    target = parse("tf_serving+grpc://10.0.0.3:8500")
    with Servers({}) as servers:
        place = servers.place(target, tmp_path, "m")
    assert place.target == target and place.pid is None


def test_server_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    kind = Started("import sys; sys.exit('no licence')")
    with (
        Servers({"triton": kind}) as servers,
        pytest.raises(RuntimeError, match=r"^triton: the server ended \(1\)(.|\n)*no licence"),
    ):
        servers.place(parse("triton+http"), tmp_path, "m")


def test_server_that_never_loads_its_model_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "READY_S", 1.0)
    kind = Started(WEB_SERVER, words="words that it never says")
    with (
        Servers({"triton": kind}) as servers,
        pytest.raises(RuntimeError, match=r"^triton: the server was not ready after 1 s"),
    ):
        servers.place(parse("triton+http"), tmp_path, "m")


def test_tf_serving_is_started_on_the_folder_of_all_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its command line only: the program is on no package index."""
    program = tmp_path / "bin" / "tensorflow_model_server"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    folder = tmp_path / "classifier" / "1"
    folder.mkdir(parents=True)
    with pytest.raises(ValueError, match=r"^targets: tf_serving serves a SavedModel; received"):
        tf_serving.command(folder, "classifier", Ports(http=1, grpc=2))
    (folder / "saved_model.pb").touch()
    command = tf_serving.command(folder, "classifier", Ports(http=1, grpc=2))
    assert command.arguments == (
        str(program),
        "--port=2",
        "--rest_api_port=1",
        "--model_name=classifier",
        f"--model_base_path={tmp_path / 'classifier'}",
    )
    assert command.ready_path == "/v1/models/classifier"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"^targets: tf_serving needs tensorflow_model_server on"):
        tf_serving.command(folder, "classifier", Ports(http=1, grpc=2))
