"""A stand-in for TensorFlow Serving and for servers of KServe v2, for tests of what asks them.

It speaks their protocols as far as our clients do, on the real messages of TensorFlow Serving, and
answers by `answer`. It proves nothing about the real servers.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from tpuline.components.serving.clients import kserve, kserve_messages

Answer = Callable[[list[list[bytes]]], dict[str, Any]]
"""Columns of texts to `label`, `score`, `probabilities`, and maybe `labels_on`."""

MODEL, VERSION = "classifier", 4
PLACES = ("", "/labels/stable", f"/versions/{VERSION}")
PREDICT = [f"/v1/models/{MODEL}{place}:predict" for place in PLACES]
STATUS = {"model_version_status": [{"version": str(VERSION), "state": "AVAILABLE"}]}


@dataclass(frozen=True, kw_only=True)
class Addresses:
    http: str
    grpc: str


@contextmanager
def serving(answer: Answer) -> Iterator[Addresses]:
    """Both protocols, over HTTP and gRPC, until the block ends."""
    import grpc

    class Handler(_Handler):
        pass

    Handler.answer = staticmethod(answer)  # type: ignore[assignment]
    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    calls = grpc.server(futures.ThreadPoolExecutor(4))
    calls.add_generic_rpc_handlers((_tf_serving(answer), _tf_serving_status(), _kserve(answer)))
    port = calls.add_insecure_port("127.0.0.1:0")
    calls.start()
    try:
        yield Addresses(http=f"127.0.0.1:{web.server_port}", grpc=f"127.0.0.1:{port}")
    finally:
        calls.stop(None).wait()
        web.shutdown()
        web.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answer: Answer

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            if self.path in PREDICT:
                self._tell(200, {}, json.dumps(self._by_columns(json.loads(body))).encode())
            elif self.path == f"/v2/models/{MODEL}/infer":
                length = int(self.headers["Inference-Header-Content-Length"])
                self._tell(200, *self._by_tensors(json.loads(body[:length]), body[length:]))
            else:
                self._tell(404, {}, b'{"error": "no such model"}')
        except ValueError as error:
            self._tell(400, {}, json.dumps({"error": str(error)}).encode())

    def do_GET(self) -> None:
        has = self.path == f"/v1/models/{MODEL}/versions/{VERSION}"
        told = STATUS if has else {"error": "Could not find version"}
        self._tell(200 if has else 404, {}, json.dumps(told).encode())

    def _by_columns(self, request: dict[str, Any]) -> dict[str, Any]:
        inputs = request["inputs"]
        columns = [[_bytes(one) for one in column] for column in inputs.values()]
        found = self.answer(columns)
        columns = {name: found[name].tolist() for name in found}
        return {"outputs": columns | {"label": [label.decode() for label in found["label"]]}}

    def _by_tensors(self, request: dict[str, Any], body: bytes) -> tuple[dict[str, str], bytes]:
        columns, start = [], 0
        for given in request["inputs"]:
            size = given["parameters"]["binary_data_size"]
            columns.append(kserve.unpack(body[start : start + size]))
            start += size
        tensors = _tensors(self.answer(columns))
        outputs = [
            {"name": name, "datatype": kind, "shape": shape,
             "parameters": {"binary_data_size": len(content)}}
            for name, kind, shape, content in tensors
        ]  # fmt: skip
        head = json.dumps({"outputs": outputs}).encode()
        contents = b"".join(content for *_, content in tensors)
        return {"Inference-Header-Content-Length": str(len(head))}, head + contents

    def _tell(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name.lower(), value)  # as proxies may
        self.end_headers()
        self.wfile.write(body)


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else base64.b64decode(value["b64"])


def _tensors(found: dict[str, Any]) -> list[tuple[str, str, list[int], bytes]]:
    rows, labels = found["probabilities"].shape
    on = found.get("labels_on")
    several = [] if on is None else [("labels_on", "BOOL", [*on.shape], on.tobytes())]
    return [
        ("label", "BYTES", [rows, 1], kserve.pack(list(found["label"]))),
        ("score", "FP32", [rows, 1], found["score"].astype(np.float32).tobytes()),
        ("probabilities", "FP32", [rows, labels],
         found["probabilities"].astype(np.float32).tobytes()),
        *several,
    ]  # fmt: skip


def _tf_serving(answer: Answer) -> Any:
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    def predict(request: Any, call: Any) -> Any:
        asked = request.model_spec
        if asked.name != MODEL or asked.version.value not in (0, VERSION):
            call.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found: {asked}")
        columns = [tf.make_ndarray(value).tolist() for _, value in sorted(request.inputs.items())]
        response = predict_pb2.PredictResponse()
        try:
            found = answer(columns)
        except ValueError as error:
            call.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        for name, value in found.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response

    return _one(
        "tensorflow.serving.PredictionService",
        "Predict",
        predict,
        predict_pb2.PredictRequest.FromString,
    )


def _tf_serving_status() -> Any:
    import grpc
    from tensorflow_serving.apis import get_model_status_pb2 as messages

    def status(request: Any, call: Any) -> Any:
        asked = request.model_spec
        if (asked.name, asked.version.value) != (MODEL, VERSION):
            call.abort(grpc.StatusCode.NOT_FOUND, f"Could not find version: {asked}")
        response = messages.GetModelStatusResponse()
        available = messages.ModelVersionStatus.AVAILABLE
        response.model_version_status.add(version=VERSION, state=available)
        return response

    read = messages.GetModelStatusRequest.FromString
    return _one("tensorflow.serving.ModelService", "GetModelStatus", status, read)


def _kserve(answer: Answer) -> Any:
    import grpc

    messages = kserve_messages.classes()

    def infer(request: Any, call: Any) -> Any:
        if request.model_name != MODEL:
            call.abort(grpc.StatusCode.NOT_FOUND, "unknown model")
        try:
            found = answer([kserve.unpack(column) for column in request.raw_input_contents])
        except ValueError as error:
            call.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        response = messages["Response"](model_name=MODEL)
        for name, kind, shape, content in _tensors(found):
            response.outputs.add(name=name, datatype=kind, shape=shape)
            response.raw_output_contents.append(content)
        return response

    service = kserve_messages.SERVICE.removeprefix("/")
    return _one(service, "ModelInfer", infer, messages["Request"].FromString)


def _one(service: str, method: str, handle: Callable[..., Any], read: Callable[..., Any]) -> Any:
    import grpc

    handler = grpc.unary_unary_rpc_method_handler(
        handle,
        request_deserializer=read,
        response_serializer=lambda message: message.SerializeToString(),
    )
    return grpc.method_handlers_generic_handler(service, {method: handler})
