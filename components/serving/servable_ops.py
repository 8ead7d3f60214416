"""Ops of a SavedModel that TensorFlow Serving cannot run, or should not.

It knows TensorFlow's own ops and TF Text's: its releases link those of the TensorFlow of the same
number and of TF Text's, so the release that is installed here, with which the model was made, names
them. Whether each has a kernel for the devices of a server only the server can tell; ops that call
back into Python surely have none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

PYTHON_OPS = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
"""Known to TensorFlow, and run by a Python that a server does not have."""

FILE_OPS = frozenset({"MatchingFiles", "PrintV2", "ReadFile", "WholeFileReaderV2", "WriteFile"})
"""Reach for any file of the machine that serves. What saves and restores variables is not among
them: it stands in every SavedModel, and no signature calls it."""


def problems(folder: Path) -> tuple[str, ...]:
    """One sentence for each op in the SavedModel that no server would run.

    Imports TensorFlow and TensorFlow Text.

    Raises:
        ValueError: there is no SavedModel.
    """
    counts = Counter(_ops(folder))
    return tuple(
        f"{op} ({count} times): {_why(op)}"
        for op, count in sorted(counts.items())
        if op in PYTHON_OPS | FILE_OPS or op not in _known()
    )


def _why(op: str) -> str:
    if op in PYTHON_OPS:
        return "calls Python, which a server does not have"
    if op in FILE_OPS:
        return "reaches for files of the machine that serves"
    return "neither TensorFlow's nor TF Text's, so that a server does not know it"


def _ops(folder: Path) -> Iterator[str]:
    """The op of every node, those of all functions included; calls of functions left out."""
    for meta_graph in _saved_model(folder).meta_graphs:
        library = meta_graph.graph_def.library
        functions = {function.signature.name for function in library.function}
        nodes = [*meta_graph.graph_def.node]
        for function in library.function:
            nodes += function.node_def
        yield from (node.op for node in nodes if node.op not in functions)


def _saved_model(folder: Path) -> Any:
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    file = folder / "saved_model.pb"
    try:
        return saved_model_pb2.SavedModel.FromString(file.read_bytes())
    except (OSError, DecodeError) as error:
        raise ValueError(
            f"folder: must hold a SavedModel; received {folder} ({error}); export again"
        ) from error


@cache
def _known() -> frozenset[str]:
    import tensorflow as tf

    own = {name for name in dir(tf.raw_ops) if not name.startswith("_")}
    return frozenset(own | _of_tf_text())


def _of_tf_text() -> set[str]:
    """What its libraries register. Loading them again does nothing but name their ops."""
    import tensorflow_text
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session

    libraries = sorted((Path(tensorflow_text.__file__).parent / "python" / "ops").glob("*.so"))
    assert libraries, "TF Text keeps its ops elsewhere"
    found: set[str] = set()
    for library in libraries:
        ops = pywrap_tf_session.TF_GetOpList(pywrap_tf_session.TF_LoadLibrary(str(library)))
        found |= {op.name for op in op_def_pb2.OpList.FromString(bytes(ops)).op}
    return found
