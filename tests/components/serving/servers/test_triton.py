"""Real Triton: the same answers as in process, and no harm done by hostile requests."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.components.evaluate.conftest import Recorder
from tests.components.export import toy
from tests.components.serving import versions
from tpuline.components.contracts import Servable
from tpuline.components.export import stage as export
from tpuline.components.export import threshold
from tpuline.components.modeling import BagSpec
from tpuline.components.serving import labels, targets, wire
from tpuline.components.serving.agreement import Rule, rule_of
from tpuline.components.serving.clients import kserve
from tpuline.components.serving.clients.connections import HttpConnections, RequestFailed
from tpuline.components.serving.servers import triton
from tpuline.components.serving.servers.starting import Place, Servers

from .conftest import MODEL

ROWS = [("a good film",), ("bad, bad",), ("x" * 100_000,)]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_triton_answers_hostile_texts_as_in_process(
    transport: str, servers: Servers, folder: Path
) -> None:
    place = servers.place(targets.parse(f"triton+{transport}"), folder, MODEL)
    rows = wire.texts_to_ask(ROWS)
    with targets.connect(targets.parse("in_process"), folder=folder) as local:
        expected = wire.ask(local, rows)
    with targets.connect(place.target, model=MODEL) as client:
        check = wire.check(client, expected, target="triton", rule=Rule(tolerance=1e-6))
    assert check.first_difference == "" and check.num_texts == len(rows)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_triton_serves_pairs_of_texts(
    servers: Servers, export_word_model: Callable[..., Servable]
) -> None:
    pairs = export_word_model(has_text_pair=True)
    folder = Path(pairs.uri) / pairs.saved_model_dir
    place = servers.place(targets.parse("triton+grpc"), folder, "pairs")
    with targets.connect(place.target, model="pairs") as client:
        answer = client.texts([["a", "b"], ["good", "bad"]])
    assert answer["label"].tolist() == [b"positive", b"negative"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_triton_answers_several_labels_as_in_process(servers: Servers, tmp_path: Path) -> None:
    shards = toy.write_shards(tmp_path / "shards", several=True)
    inputs = export.Inputs(
        shards=shards, model=toy.write_model(tmp_path / "model", shards, BagSpec())
    )
    several = export.run(
        export.Config(threshold=threshold.Rule()), inputs, toy.context(tmp_path / "out")
    )
    folder, rule = Path(several.uri) / several.saved_model_dir, rule_of(several)
    rows = wire.texts_to_ask([("dull plot",), ("great film",), ("the dull great",), ("",)])
    with targets.connect(targets.parse("in_process"), folder=folder) as local:
        expected = wire.ask(local, rows)
    for transport in ("http", "grpc"):
        place = servers.place(targets.parse(f"triton+{transport}"), folder, "several")
        with targets.connect(place.target, model="several") as client:
            check = wire.check(client, expected, target=transport, rule=rule)
            on = client.texts([["dull plot", "", "great", "dull great"]])["labels_on"]
        assert check.first_difference == "" and check.num_texts == len(rows)
        assert on.dtype == bool and on.shape == (4, 3)
        assert on.any() and not on.all()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_triton_switches_versions_under_load_and_fails_no_request(
    servers: Servers, tmp_path: Path
) -> None:
    served = tmp_path / "served"
    labels.promote(versions.handed_over(tmp_path, 1), served, label="stable")
    place = servers.place(targets.parse("triton+grpc"), served, "toy")

    def switch(seen: Callable[[bytes], None]) -> None:
        seen(b"version 1")
        labels.promote(versions.handed_over(tmp_path, 2), served, label="stable")
        seen(b"version 2")
        labels.rollback(served)
        seen(b"version 1")

    with targets.connect(place.target, model="toy") as client:
        versions.load_until(client.texts, switch)


def tensor(content: bytes, **changes: Any) -> tuple[dict[str, Any], bytes]:
    given = {
        "name": "text",
        "shape": [1, 1],
        "datatype": "BYTES",
        "parameters": {"binary_data_size": len(content)},
    }
    return {"inputs": [given | changes]}, content


ONE = kserve.pack([b"good"])
DEEP = (
    b'{"inputs":[{"name":"text","shape":[1,1],"datatype":"BYTES","data":'
    + b"[" * 1_000_000
    + b"]" * 1_000_000
    + b"}]}"
)
HOSTILE: dict[str, tuple[Any, bytes]] = {
    "nothing": (b"", b""),
    "no inputs": ({"inputs": []}, b""),
    "no rows": tensor(b"", shape=[0, 1]),
    "not UTF-8": tensor(kserve.pack([b"\xff\xfe\x80"])),
    "huge text": tensor(kserve.pack([b"good " * 2_000_000])),
    "too many rows": tensor(kserve.pack([b"good"] * 100), shape=[100, 1]),
    "wrong type": tensor(b"\x00" * 8, datatype="FP64"),
    "wrong shape": tensor(ONE, shape=[1, 2, 3]),
    "negative shape": tensor(ONE, shape=[-1, 1]),
    "enormous shape": tensor(ONE, shape=[2**62, 1]),
    "unknown input": tensor(ONE, name="texte"),
    "length beyond the end": tensor(b"\xff\xff\xff\x7fgood"),
    "fewer bytes than told": tensor(ONE, parameters={"binary_data_size": 10**9}),
    "deep JSON": (b"[" * 100_000, b""),
    "a tensor of deep JSON": (DEEP, b""),  # 50,000 would end Triton with stacks of 8 MB
    "not JSON": (b"\x00\x01\x02", b""),
    "a number for a text": ({"inputs": [{"name": "text", "shape": [1, 1], "datatype": "BYTES",
                                         "data": [7]}]}, b""),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", list(HOSTILE))
def test_triton_refuses_or_answers_a_hostile_request_and_goes_on(
    name: str, servers: Servers, folder: Path
) -> None:
    head, content = HOSTILE[name]
    body = head if isinstance(head, bytes) else json.dumps(head).encode()
    place = servers.place(targets.parse("triton+http"), folder, MODEL)
    survives(place, body, content)


def survives(place: Place, body: bytes, content: bytes) -> None:
    """The server refuses or answers, and answers the next request."""
    connections = HttpConnections(place.target.address, timeout_s=60)
    headers = {"Inference-Header-Content-Length": str(len(body))} if content else {}
    try:
        path = f"/v2/models/{MODEL}/infer"
        status, _, answer = connections.ask("POST", path, body + content, headers)
        assert 400 <= status < 600 or b"negative" in answer or b"positive" in answer
    except RequestFailed:
        pass  # it closed the connection, which is an answer as well, if it goes on
    finally:
        connections.close()
    with targets.connect(place.target, model=MODEL) as client:
        assert client.texts([["a good film"]])["label"].tolist() == [b"positive"]


ABANDON = """
import os, sys
from pathlib import Path
from tests.components.evaluate.conftest import Recorder
from tpuline.components.serving import targets
from tpuline.components.serving.servers import starting, triton
kind = triton.kind(os.environ, Recorder(), max_batch_size=4, max_delay_us=0)
with starting.Servers({"triton": kind}) as servers:
    print(servers.place(targets.parse("triton+http"), Path(sys.argv[1]), "m").pid, flush=True)
    os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_triton_ends_when_whoever_started_it_is_killed(folder: Path, checkout: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ABANDON, str(folder)], capture_output=True, text=True, cwd=checkout
    )
    assert done.returncode == -9
    server, deadline = int(done.stdout), time.monotonic() + 120
    while psutil.pid_exists(server) and psutil.Process(server).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the server is still there"
        time.sleep(0.5)


def test_model_of_another_runtime_is_refused(tmp_path: Path, log: Recorder) -> None:
    kind = triton.kind({}, log, max_batch_size=1, max_delay_us=0)
    with (
        Servers({"triton": kind}) as servers,
        pytest.raises(
            ValueError, match=r"^targets: triton serves a SavedModel here, or follows a served"
        ),
    ):
        servers.place(targets.parse("triton+http"), tmp_path, "m")


def test_python_without_triton_is_refused(tmp_path: Path, log: Recorder) -> None:
    for python in (sys.executable, str(tmp_path / "nothing")):
        with pytest.raises(ValueError, match=r"^TPULINE_TRITON_PYTHON: must be a Python with nvid"):
            triton.interpreter({triton.VARIABLE: python}, log)
