"""Messages of KServe's protocol v2 over gRPC, as far as a request for predictions needs them.

Field numbers are those of `grpc_service.proto` of the protocol (kserve.github.io, Open Inference
Protocol). They are built here because the packages that carry them ask for another protobuf than
TensorFlow. Fields that are not named are skipped on reading, as protobuf does.
"""

from __future__ import annotations

from functools import cache
from typing import Any

SERVICE = "/inference.GRPCInferenceService"

_FIELDS: dict[str, tuple[tuple[int, str, str], ...]] = {
    "Input": ((1, "name", "string"), (2, "datatype", "string"), (3, "shape", "int64*")),
    "Wanted": ((1, "name", "string"),),
    "Request": (
        (1, "model_name", "string"),
        (2, "model_version", "string"),
        (5, "inputs", "Input*"),
        (6, "outputs", "Wanted*"),
        (7, "raw_input_contents", "bytes*"),
    ),
    "Output": ((1, "name", "string"), (2, "datatype", "string"), (3, "shape", "int64*")),
    "Response": (
        (1, "model_name", "string"),
        (2, "model_version", "string"),
        (5, "outputs", "Output*"),
        (6, "raw_output_contents", "bytes*"),
    ),
}


@cache
def classes() -> dict[str, Any]:
    """The message classes by name: `Request`, `Input`, `Wanted`, `Response`, `Output`."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="tpuline_kserve.proto", package="tpuline.kserve", syntax="proto3"
    )
    kinds = descriptor_pb2.FieldDescriptorProto
    scalars = {
        "string": kinds.TYPE_STRING,
        "int64": kinds.TYPE_INT64,
        "bytes": kinds.TYPE_BYTES,
    }
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for number, field, kind in fields:
            base = kind.rstrip("*")
            added = message.field.add(name=field, number=number)
            added.label = kinds.LABEL_REPEATED if kind != base else kinds.LABEL_OPTIONAL
            added.type = scalars.get(base, kinds.TYPE_MESSAGE)
            if base not in scalars:
                added.type_name = f".tpuline.kserve.{base}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"tpuline.kserve.{name}") for name in _FIELDS}
    return {name: message_factory.GetMessageClass(kind) for name, kind in found.items()}
