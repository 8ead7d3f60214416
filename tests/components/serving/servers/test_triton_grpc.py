"""Real Triton and gRPC requests that no client of ours would send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from tpuline.components.serving import targets
from tpuline.components.serving.clients import kserve, kserve_messages
from tpuline.components.serving.servers.starting import Place, Servers

from .conftest import MODEL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ONE = kserve.pack([b"good"])


def message(*contents: bytes, **changes: Any) -> bytes:
    """A request for one text, but for `changes` of its input."""
    request = kserve_messages.classes()["Request"](model_name=MODEL)
    request.inputs.add(**{"name": "text", "datatype": "BYTES", "shape": [1, 1]} | changes)
    request.raw_input_contents.extend(contents)
    return bytes(request.SerializeToString())


def twice() -> bytes:
    request = kserve_messages.classes()["Request"].FromString(message(ONE, ONE))
    request.inputs.append(request.inputs[0])
    return bytes(request.SerializeToString())


REFUSED = {
    "nothing": b"",
    "not a message": b"\xff" * 1000,
    "no inputs": bytes(kserve_messages.classes()["Request"](model_name=MODEL).SerializeToString()),
    "no contents": message(),
    "empty contents": message(b""),
    "no rows": message(b"", shape=[0, 1]),
    "wrong type": message(b"\x00" * 8, datatype="FP64"),
    "unknown type": message(ONE, datatype="TEXTS"),
    "wrong shape": message(ONE, shape=[1, 2, 3]),
    "no shape": message(ONE, shape=[]),
    "negative shape": message(ONE, shape=[-1, 1]),
    "enormous shape": message(ONE, shape=[2**62, 1]),
    "contents shorter than the shape": message(ONE, shape=[5, 1]),
    "contents longer than the shape": message(ONE * 5),
    "length beyond the end": message(b"\xff\xff\xff\x7fgood"),
    "too many rows": message(ONE * 100, shape=[100, 1]),
    "unknown input": message(ONE, name="texte"),
    "an input twice": twice(),
}
ANSWERED = {
    "not UTF-8": (message(kserve.pack([b"\xff\xfe\x80"])), b"negative"),
    "huge text": (message(kserve.pack([b"good " * 4_000_000])), b"positive"),
    "empty text": (message(kserve.pack([b""])), b"negative"),
}


def infer(place: Place, request: bytes) -> Any:
    """The response to bytes that need be no request."""
    with grpc.insecure_channel(place.target.address, options=kserve.UNLIMITED) as channel:
        call = channel.unary_unary(
            f"{kserve_messages.SERVICE}/ModelInfer",
            response_deserializer=kserve_messages.classes()["Response"].FromString,
        )
        return call(request, timeout=120)


def goes_on(place: Place) -> None:
    with targets.connect(place.target, model=MODEL) as client:
        assert client.texts([["a good film"]])["label"].tolist() == [b"positive"]


@pytest.mark.parametrize("name", list(REFUSED))
def test_triton_refuses_a_hostile_grpc_request_and_goes_on(
    name: str, servers: Servers, folder: Path
) -> None:
    place = servers.place(targets.parse("triton+grpc"), folder, MODEL)
    with pytest.raises(grpc.RpcError) as refused:
        infer(place, REFUSED[name])
    silent = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    assert refused.value.code() not in silent
    goes_on(place)


@pytest.mark.parametrize("name", list(ANSWERED))
def test_triton_answers_an_odd_text_over_grpc_and_goes_on(
    name: str, servers: Servers, folder: Path
) -> None:
    request, label = ANSWERED[name]
    place = servers.place(targets.parse("triton+grpc"), folder, MODEL)
    assert label in b"".join(infer(place, request).raw_output_contents)
    goes_on(place)
