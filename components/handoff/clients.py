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


def predict(server, rows, label=None, timeout_s=10):
    """Rows, tuples of one string an input, to a list of answers in the same order."""
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


def predict(channel, rows, label=None, timeout_s=10):
    """Rows, tuples of one string an input, to a list of answers in the same order."""
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

README = """\
# {name}, version {version}

| file | what it is |
|---|---|
| `{name}/{version}/` | the model ({format}) |
| `HANDOFF.json`, `SHA256SUMS` | what this is, and the digest of every file; written last |
| `MODEL_CARD.md` | data, metrics with intervals, where it is worse, licences |
| `evaluation.json`, `slo.json` | the verdict with every gate; promises, and what was measured |
| `samples.json` | requests with the answers expected |
| `versions.cdx.json` | every library that had a part in it, and what serving needs (CycloneDX) |
| `acceptance/` | what checks this bundle |
{server_rows}
## Accept it

In a virtual environment of Python {python} that lies elsewhere, since nothing may be added here:

    pip install acceptance/{wheel}
    tpuline accept .                      # exit code 0: accept, 3: reject, with reasons

Whoever handed it over tells you its fingerprint over a separate channel (their report shows it):
`tpuline accept . --fingerprint ...` then also refuses a bundle that was forged as a whole.
{serve}"""

SERVER_ROWS = """\
| `models.config`, `monitoring.config` | for a model server: versions and labels; Prometheus |
| `{name}/{version}/batching_params.pbtxt` | batches up to the measured knee |
| `{name}/{version}/assets.extra/` | warm-up requests: the server replays them before it is ready |
| `clients/` | programs that ask a model server, over REST and over gRPC |
"""

SERVE_SAVED_MODEL = """
## Serve it

    SERVED=/srv/models                    # outside this folder
    tpuline promote . $SERVED             # copies the version there, labels it stable
    tensorflow_model_server --port=8500 --rest_api_port=8501 \\
        --model_config_file=$SERVED/models.config --model_config_file_poll_wait_seconds=10 \\
        --allow_version_labels_for_unavailable_models \\
        --enable_batching --enable_per_model_batching_parameters \\
        --monitoring_config_file=monitoring.config
    tpuline accept . --server tf_serving+http://localhost:8501
    tpuline rollback $SERVED              # stable is again what it was before

`promote --label canary` is for a version that has yet to prove itself; `accept` asks a server for
this very version, whatever its label. A server in a container reads `/models`: `models.config` here
is written for that.
"""

SERVE_OTHER = """
## Serve it

The folder of the model holds its tokenizer as a SavedModel and the part from tokens to
probabilities for its own runtime. It is no SavedModel, so TF Serving does not load it; from Python:

    from pathlib import Path
    from tpuline.components.serving import answering
    model = answering.load(Path("{name}/{version}"))
    model.texts([["where is my parcel?"]])    # label, score, probabilities
"""
