"""Raw texts to TensorFlow Serving, over its REST API or `PredictionService`."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..answering import LABEL, LABELS_ON, PROBABILITIES, SCORE
from .connections import HttpConnections, RequestFailed, named, refused
from .kserve import UNLIMITED

if TYPE_CHECKING:
    import numpy as np

SIGNATURE = "serving_default"


class OverHttp:
    """`:predict` by columns, the texts in base 64: JSON could not carry what is not UTF-8."""

    def __init__(
        self, address: str, model: str, *, timeout_s: float, version: int | None = None
    ) -> None:
        self._http = HttpConnections(address, timeout_s)
        place = f"/versions/{version}" if version else ""
        self._model = f"/v1/models/{model}{place}"
        self._path = f"{self._model}:predict"

    def texts(self, columns: Sequence[Sequence[str | bytes]]) -> dict[str, np.ndarray]:
        import numpy as np

        inputs = {
            name: [{"b64": base64.b64encode(text).decode()} for text in texts]
            for name, texts in named(columns).items()
        }
        body = json.dumps({"signature_name": SIGNATURE, "inputs": inputs}).encode()
        headers = {"Content-Type": "application/json"}
        status, _, answer = self._http.ask("POST", self._path, body, headers)
        if status != 200:
            raise refused(self._path, status, answer)
        outputs = json.loads(answer)["outputs"]
        several = {LABELS_ON: np.array(outputs[LABELS_ON], bool)} if LABELS_ON in outputs else {}
        return several | {
            LABEL: np.array([_bytes(label) for label in outputs[LABEL]], object),
            SCORE: np.array(outputs[SCORE], np.float32),
            PROBABILITIES: np.array(outputs[PROBABILITIES], np.float32),
        }

    def has_version(self) -> bool:
        """Whether the server says that it serves the version that is asked for."""
        try:
            status, _, answer = self._http.ask("GET", self._model)
        except RequestFailed:
            return False
        return status == 200 and b'"AVAILABLE"' in answer

    def close(self) -> None:
        self._http.close()


def _bytes(label: str | dict[str, str]) -> bytes:
    return label.encode() if isinstance(label, str) else base64.b64decode(label["b64"])


class OverGrpc:
    """`PredictionService.Predict`; one channel for all threads. Imports TensorFlow."""

    def __init__(
        self, address: str, model: str, *, timeout_s: float, version: int | None = None
    ) -> None:
        import grpc  # type: ignore[import-untyped]
        import tensorflow as tf
        from tensorflow_serving.apis import (
            get_model_status_pb2,
            model_service_pb2_grpc,
            predict_pb2,
            prediction_service_pb2_grpc,
        )

        self._tf, self._messages, self._failed = tf, predict_pb2, grpc.RpcError
        self._model, self._version, self._timeout_s = model, version, timeout_s
        self._channel = grpc.insecure_channel(address, options=UNLIMITED)
        self._service = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._status_messages = get_model_status_pb2
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def texts(self, columns: Sequence[Sequence[str | bytes]]) -> dict[str, np.ndarray]:
        request = self._messages.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = self._model, SIGNATURE
        if self._version:
            request.model_spec.version.value = self._version
        for name, texts in named(columns).items():
            tensor = self._tf.make_tensor_proto(texts, self._tf.string, shape=[len(texts)])
            request.inputs[name].CopyFrom(tensor)
        try:
            response = self._service.Predict(request, timeout=self._timeout_s)
        except self._failed as error:
            raise refused(self._model, error.code(), str(error.details())) from error
        found = {name: self._tf.make_ndarray(value) for name, value in response.outputs.items()}
        if missing := {LABEL, SCORE, PROBABILITIES} - found.keys():
            raise RequestFailed(f"the answer must hold {sorted(missing)}; it holds {list(found)}")
        return found

    def has_version(self) -> bool:
        """Whether the server says that it serves the version that is asked for."""
        request = self._status_messages.GetModelStatusRequest()
        request.model_spec.name = self._model
        if self._version:
            request.model_spec.version.value = self._version
        try:
            response = self._models.GetModelStatus(request, timeout=self._timeout_s)
        except self._failed:
            return False
        available = self._status_messages.ModelVersionStatus.AVAILABLE
        return any(one.state == available for one in response.model_version_status)

    def close(self) -> None:
        self._channel.close()
