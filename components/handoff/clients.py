"""Programs for whoever calls the model: one file each, nothing of tpuline. They print JSON."""

from __future__ import annotations

REST = '''\
"""Asks a model over TF Serving's REST interface. Standard library only.

    python rest_client.py --server http://localhost:8501 "where is my parcel?"
    python rest_client.py --server http://localhost:8501 --label canary < texts.txt
"""

import argparse
import json
import sys
import urllib.request

NAME, INPUTS = {name!r}, {inputs!r}
BATCH = {batch}  # rows a request: those that the server computes at once; it refuses very many


def predict(server, rows, label=None, timeout_s=10):
    """Rows, tuples of one string an input, to a list of answers in the same order."""
    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    return [answer for batch in batches for answer in ask(server, batch, label, timeout_s)]


def ask(server, rows, label, timeout_s):
    """The answers to one request."""
    version = f"/labels/{{label}}" if label else ""
    url = f"{{server}}/v1/models/{{NAME}}{{version}}:predict"
    columns = dict(zip(INPUTS, zip(*rows, strict=True), strict=True))
    body = json.dumps({{"signature_name": "serving_default", "inputs": columns}}).encode()
    request = urllib.request.Request(url, body, {{"Content-Type": "application/json"}})
    with urllib.request.urlopen(request, timeout=timeout_s) as response:
        outputs = json.load(response)["outputs"]
    return [dict(zip(outputs, values)) for values in zip(*outputs.values())]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--label")
    parser.add_argument("text", nargs="*", help=" and ".join(INPUTS) + "; else a row a line")
    args = parser.parse_args()
    lines = (line.rstrip("\\n") for line in sys.stdin)
    rows = [args.text] if args.text else [line.split("\\t", len(INPUTS) - 1) for line in lines]
    if wrong := [row for row in rows if len(row) != len(INPUTS)]:
        parser.error(f"a row must have {{len(INPUTS)}} text(s), tab between; received {{wrong[0]}}")
    for answer in predict(args.server, rows, args.label):
        print(json.dumps(answer))
'''

GRPC = '''\
"""Asks a model over TF Serving's gRPC interface: pip install tensorflow-serving-api.

    python grpc_client.py --server localhost:8500 "where is my parcel?"
"""

import argparse
import json
import sys

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

NAME, INPUTS = {name!r}, {inputs!r}
BATCH = {batch}  # rows a request: those that the server computes at once; it refuses very many


def predict(channel, rows, label=None, timeout_s=10):
    """Rows, tuples of one string an input, to a list of answers in the same order."""
    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    return [answer for batch in batches for answer in ask(channel, batch, label, timeout_s)]


def ask(channel, rows, label, timeout_s):
    """The answers to one request."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = NAME
    request.model_spec.signature_name = "serving_default"
    if label:
        request.model_spec.version_label = label
    for name, column in zip(INPUTS, zip(*rows, strict=True), strict=True):
        request.inputs[name].CopyFrom(tf.make_tensor_proto(list(column), tf.string))
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    outputs = stub.Predict(request, timeout=timeout_s).outputs
    columns = {{name: tf.make_ndarray(tensor).tolist() for name, tensor in outputs.items()}}
    columns["label"] = [label.decode() for label in columns["label"]]
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--label")
    parser.add_argument("text", nargs="*", help=" and ".join(INPUTS) + "; else a row a line")
    args = parser.parse_args()
    lines = (line.rstrip("\\n") for line in sys.stdin)
    rows = [args.text] if args.text else [line.split("\\t", len(INPUTS) - 1) for line in lines]
    if wrong := [row for row in rows if len(row) != len(INPUTS)]:
        parser.error(f"a row must have {{len(INPUTS)}} text(s), tab between; received {{wrong[0]}}")
    with grpc.insecure_channel(args.server) as channel:
        for answer in predict(channel, rows, args.label):
            print(json.dumps(answer))
'''
