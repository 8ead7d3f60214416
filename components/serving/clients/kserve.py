"""Raw texts to a server of KServe's protocol v2, such as Triton; tensors go as bytes, not JSON.

Inputs and outputs are named as in the SavedModel, each of shape `(B, 1)`, `probabilities` and the
`labels_on` of multi-label models `(B, C)`. No request names outputs, so that all come.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..answering import LABEL, PROBABILITIES, SCORE
from . import kserve_messages
from .connections import HttpConnections, RequestFailed, named, refused

if TYPE_CHECKING:
    import numpy as np

_OUTPUTS = (LABEL, SCORE, PROBABILITIES)
_HEADER_LENGTH = "Inference-Header-Content-Length"


class OverHttp:
    """With the extension for binary tensors: JSON could not carry texts that are not UTF-8."""

    def __init__(self, address: str, model: str, *, timeout_s: float) -> None:
        self._http = HttpConnections(address, timeout_s)
        self._path = f"/v2/models/{model}/infer"

    def texts(self, columns: Sequence[Sequence[str | bytes]]) -> dict[str, np.ndarray]:
        packed = {name: pack(texts) for name, texts in named(columns).items()}
        rows = len(columns[0])
        head = json.dumps(
            {
                "inputs": [
                    {
                        "name": name,
                        "shape": [rows, 1],
                        "datatype": "BYTES",
                        "parameters": {"binary_data_size": len(content)},
                    }
                    for name, content in packed.items()
                ],
                "parameters": {"binary_data_output": True},  # of all outputs
            }
        ).encode()
        headers = {_HEADER_LENGTH: str(len(head)), "Content-Type": "application/octet-stream"}
        body = b"".join([head, *packed.values()])
        status, told, answer = self._http.ask("POST", self._path, body, headers)
        if status != 200:
            raise refused(self._path, status, answer)
        length = int(told.get(_HEADER_LENGTH, len(answer)))
        outputs = json.loads(answer[:length])["outputs"]
        contents, start = [], length
        for output in outputs:
            end = start + output["parameters"]["binary_data_size"]
            contents.append(answer[start:end])
            start = end
        shapes = [(output["name"], output["datatype"], output["shape"]) for output in outputs]
        return _arrays(shapes, contents)

    def close(self) -> None:
        self._http.close()


class OverGrpc:
    """`ModelInfer` with raw contents; one channel for all threads."""

    def __init__(self, address: str, model: str, *, timeout_s: float) -> None:
        import grpc  # type: ignore[import-untyped]

        self._model, self._timeout_s = model, timeout_s
        self._messages = kserve_messages.classes()
        self._failed = grpc.RpcError
        self._channel = grpc.insecure_channel(address, options=UNLIMITED)
        self._infer = self._channel.unary_unary(
            f"{kserve_messages.SERVICE}/ModelInfer",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=self._messages["Response"].FromString,
        )

    def texts(self, columns: Sequence[Sequence[str | bytes]]) -> dict[str, np.ndarray]:
        request = self._messages["Request"](model_name=self._model)
        for name, texts in named(columns).items():
            request.inputs.add(name=name, datatype="BYTES", shape=[len(texts), 1])
            request.raw_input_contents.append(pack(texts))
        try:
            response = self._infer(request, timeout=self._timeout_s)
        except self._failed as error:
            raise refused(self._model, error.code(), str(error.details())) from error
        shapes = [(output.name, output.datatype, output.shape) for output in response.outputs]
        return _arrays(shapes, response.raw_output_contents)

    def close(self) -> None:
        self._channel.close()


UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
"""gRPC's own bound, 4 MiB, is less than a batch of long texts."""


def pack(texts: Sequence[bytes]) -> bytes:
    """A tensor of BYTES: each element after its length, 4 bytes little-endian."""
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def unpack(content: bytes) -> list[bytes]:
    """The elements of a tensor of BYTES."""
    found, start = [], 0
    while start < len(content):
        (length,) = struct.unpack_from("<I", content, start)
        start += 4 + length
        found.append(content[start - length : start])
    return found


def _arrays(
    shapes: Sequence[tuple[str, str, Sequence[int]]], contents: Sequence[bytes]
) -> dict[str, np.ndarray]:
    import numpy as np

    arrays: dict[str, Any] = {}
    for (name, datatype, shape), content in zip(shapes, contents, strict=True):
        if datatype == "BYTES":
            arrays[name] = np.array(unpack(content), object)
        elif datatype == "FP32":
            values = np.frombuffer(content, np.float32)
            arrays[name] = values.reshape(shape) if name == PROBABILITIES else values
        elif datatype == "BOOL":
            arrays[name] = np.frombuffer(content, np.bool_).reshape(shape)
    if missing := [name for name in _OUTPUTS if name not in arrays]:
        raise RequestFailed(f"the answer must hold {', '.join(_OUTPUTS)}; it lacks {missing}")
    return arrays
