"""Ops of a SavedModel that TensorFlow Serving cannot run, or should not.

It knows TensorFlow's own ops and TF Text's: its releases link those of the TensorFlow of the same
number and of TF Text's, so the release that is installed here, with which the model was made, names
them. Whether each has a kernel for the devices of a server only the server can tell; ops that call
back into Python surely have none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

PYTHON_OPS = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
"""Known to TensorFlow, and run by a Python that a server does not have."""

_FILES = re.compile(
    "File|Reader|Dataset|Summary|Save|Restore|Checkpoint|Snapshot|LMDB|BigQuery|^Print|^Debug"
)
"""In the names of ops that read or write what a path says."""

PATH_OPS = frozenset({
    "DecodeProtoV2", "EncodeProto", "FixedUnigramCandidateSampler", "GenerateVocabRemapping",
    "ImmutableConst", "ImportEvent", "LoadAndRemapMatrix", "RecordInput",
})  # fmt: skip
"""Whose names do not tell that they do: by an attribute, or by a string of the moment."""

ENDING_OPS = frozenset({"Abort"})
"""They end the process that runs them."""

SAVER_OPS = frozenset({"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"})
"""In every SavedModel, to save and restore its variables; neither a signature nor a function that
loading may run comes to them."""

_AT_LOADING = ("saved_model_main_op", "legacy_init_op")
"""Collections whose nodes a server runs when it loads a model; what Python's loader passes over."""


def problems(folder: Path) -> tuple[str, ...]:
    """One sentence for each op in the SavedModel that no server would run.

    Imports TensorFlow and TensorFlow Text.

    Raises:
        ValueError: there is no SavedModel.
    """
    counts: Counter[str] = Counter()
    asked: set[str] = set()
    for meta_graph in _saved_model(folder).meta_graphs:
        counts.update(_ops(meta_graph))
        asked |= _ops_that_run(meta_graph)
    return tuple(
        f"{op} ({count} times): {why}"
        for op, count in sorted(counts.items())
        if (why := _why(op, asked=op in asked))
    )


def release() -> str:
    """Whose ops are known: "TensorFlow 2.20.0"."""
    import tensorflow as tf

    return f"TensorFlow {tf.__version__}"


def _why(op: str, *, asked: bool) -> str:
    """What is wrong with an op; empty where nothing is. `asked`: of `_ops_that_run`."""
    if op in PYTHON_OPS:
        return "calls Python, which a server does not have"
    if op not in _known():
        return f"neither of {release()} nor TF Text's, so that a server does not know it"
    if op in ENDING_OPS:
        return "ends the process that serves"
    if op in PATH_OPS or (_FILES.search(op) and (asked or op not in SAVER_OPS)):
        return "reaches for files of the machine that serves"
    return ""


def _ops(meta_graph: Any) -> Iterator[str]:
    """The op of every node, those of all functions included; calls of functions left out."""
    library = meta_graph.graph_def.library
    functions = {function.signature.name for function in library.function}
    nodes = [*meta_graph.graph_def.node]
    for function in library.function:
        nodes += function.node_def
    yield from (node.op for node in nodes if node.op not in functions)


def _ops_that_run(meta_graph: Any) -> set[str]:
    """Of the nodes that the outputs of any signature depend on, or what a server runs at loading;
    of the functions of all objects, some of which run then, too; of all functions that these call.

    Without objects, as TensorFlow 1 wrote it, loading may run any node.
    """
    if not meta_graph.object_graph_def.nodes:
        return set(_ops(meta_graph))
    asked = [
        output.name
        for signature in meta_graph.signature_def.values()
        for output in signature.outputs.values()
    ]
    for key in _AT_LOADING:
        asked += meta_graph.collection_def[key].node_list.value
    functions = set(meta_graph.object_graph_def.concrete_functions)
    restoring = _reached(meta_graph, [meta_graph.saver_def.restore_op_name], set())
    return _reached(meta_graph, asked, functions) | (restoring - {"RestoreV2"})


def _reached(meta_graph: Any, names: Iterable[str], entered: set[str]) -> set[str]:
    """Ops of what the nodes or tensors of these names depend on, and of the functions `entered`."""
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    functions = {one.signature.name: one for one in meta_graph.graph_def.library.function}
    seen = {name.lstrip("^").split(":")[0] for name in names} & nodes.keys()
    entered = entered & functions.keys()
    waiting = [nodes[name] for name in seen]
    waiting += [node for name in entered for node in functions[name].node_def]
    ops: set[str] = set()
    while waiting:
        node = waiting.pop()
        ops.add(node.op)
        for name in {one.lstrip("^").split(":")[0] for one in node.input} & nodes.keys() - seen:
            seen.add(name)
            waiting.append(nodes[name])
        for name in _called(node) & functions.keys() - entered:
            entered.add(name)
            waiting += functions[name].node_def
    return ops


def _called(node: Any) -> set[str]:
    """Names of the functions that a node calls."""
    called = {node.op}
    for value in node.attr.values():
        called |= {value.func.name, *(one.name for one in value.list.func)}
    return called


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
