"""Ops that a server lacks are found wherever they hide in a SavedModel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tpuline.components.contracts import Servable
from tpuline.components.serving import servable_ops
from tpuline.components.serving.servable_ops import problems


def saved(folder: Path, answer: Callable[[Any], Any]) -> Path:
    """A SavedModel whose signature calls `answer` on its texts."""
    import tensorflow as tf

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
        def serve(self, text: Any) -> dict[str, Any]:
            return {"out": answer(text)}

    module = Module()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    return folder


def test_ops_of_tensorflow_and_tf_text_are_known(tmp_path: Path, word_model: Servable) -> None:
    import tensorflow as tf
    import tensorflow_text as text_ops

    def answer(text: Any) -> Any:
        tokens = text_ops.UnicodeScriptTokenizer().tokenize(text_ops.normalize_utf8(text))
        size = tf.size(tokens.flat_values)
        return tf.while_loop(lambda n: n < 3, lambda n: (n + 1,), (size,))[0]

    assert problems(saved(tmp_path, answer)) == ()
    assert problems(Path(word_model.uri) / word_model.saved_model_dir) == ()


def test_call_into_python_is_found_inside_a_branch(tmp_path: Path) -> None:
    import tensorflow as tf

    def answer(text: Any) -> Any:
        return tf.cond(
            tf.size(text) > 3,
            lambda: tf.py_function(lambda one: one, [text], tf.string),
            lambda: tf.numpy_function(lambda one: one, [text], tf.string),
        )

    eager, plain = problems(saved(tmp_path, answer))
    assert eager == "EagerPyFunc (1 times): calls Python, which a server does not have"
    assert plain.startswith("PyFunc (1 times): calls Python")


def test_op_of_another_library_is_found(tmp_path: Path) -> None:
    """The library itself is not needed: the op of one node is given the name of such an op."""
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    saved(tmp_path, lambda text: text)
    file = tmp_path / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    function = next(one for one in model.meta_graphs[0].graph_def.library.function if one.node_def)
    function.node_def.add(name="custom", op="Acme>FastTokenize")
    file.write_bytes(model.SerializeToString())
    (problem,) = problems(tmp_path)
    assert problem.startswith(
        f"Acme>FastTokenize (1 times): neither of TensorFlow {tf.__version__} nor TF Text's"
    )


def test_saver_op_in_what_loading_runs_is_found(tmp_path: Path) -> None:
    """Every SavedModel has some; here they are in a resource's initializer, which loading runs."""
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    target = tmp_path / "written"

    class Resource(tf.saved_model.experimental.TrackableResource):
        @tf.function(input_signature=[])
        def _create_resource(self) -> Any:
            return tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[])

        @tf.function(input_signature=[])
        def _initialize(self) -> Any:
            tf.raw_ops.SaveV2(
                prefix=str(target), tensor_names=["a"], shape_and_slices=[""], tensors=[[1.0]]
            )
            return 1

    module = tf.Module()
    module.resource = Resource()
    module.serve = tf.function(
        lambda text: {"out": tf.identity(text)},
        input_signature=[tf.TensorSpec((None,), tf.string, name="text")],
    )
    folder = tmp_path / "model"
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    file = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    model.meta_graphs[0].signature_def.pop("__saved_model_init_op")
    file.write_bytes(model.SerializeToString())
    assert any(one.startswith("SaveV2 ") and "files" in one for one in problems(folder))
    model.meta_graphs[0].ClearField("object_graph_def")  # as of TensorFlow 1: any node may run
    file.write_bytes(model.SerializeToString())
    assert any(one.startswith("SaveV2 ") for one in problems(folder))


@pytest.mark.parametrize("by", ["saved_model_main_op", "legacy_init_op", "restore_op_name"])
def test_saver_op_that_a_server_runs_at_loading_is_found(tmp_path: Path, by: str) -> None:
    """Python's loader passes over these names, where there are objects."""
    from tensorflow.core.protobuf import saved_model_pb2

    file = saved(tmp_path, lambda text: text) / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    graph = model.meta_graphs[0]
    graph.graph_def.node.add(name="evil", op="SaveV2")
    file.write_bytes(model.SerializeToString())
    assert problems(tmp_path) == ()
    if by == "restore_op_name":
        graph.saver_def.restore_op_name = "evil"
    else:
        graph.collection_def[by].node_list.value.append("evil")
    file.write_bytes(model.SerializeToString())
    (problem,) = problems(tmp_path)
    assert problem.startswith("SaveV2 ") and problem.endswith("files of the machine that serves")


@pytest.mark.parametrize("content", [None, b"\xff\xff not a message"])
def test_folder_without_a_saved_model_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ValueError, match=r"^folder: must hold a SavedModel; received .*; export a"):
        problems(tmp_path)


@pytest.mark.parametrize("op", ["write_file", "read_file", "records", "checkpoint", "print"])
def test_op_that_reaches_for_files_is_found(tmp_path: Path, op: str) -> None:
    import tensorflow as tf

    place = str(tmp_path / "anywhere")

    def answer(text: Any) -> Any:
        if op == "records":
            return tf.data.TFRecordDataset(place).reduce("", lambda whole, one: whole + one)
        if op == "read_file":
            return tf.io.read_file(place)
        after = {
            "write_file": lambda: tf.io.write_file(place, "mine"),
            "checkpoint": lambda: tf.raw_ops.SaveV2(
                prefix=place, tensor_names=["a"], shape_and_slices=[""], tensors=[text]
            ),
            "print": lambda: tf.print(text, output_stream=f"file://{place}"),
        }[op]()
        with tf.control_dependencies([after]):
            return tf.identity(text)

    found = problems(saved(tmp_path / "model", answer))
    assert found and all("reaches for files" in one for one in found)


def _remapped(text: Any) -> Any:
    import tensorflow as tf

    remapping, _ = tf.raw_ops.GenerateVocabRemapping(
        new_vocab_file=text[0], old_vocab_file=text[0], new_vocab_offset=0, num_new_vocab=1
    )
    return remapping


def _matrix(text: Any) -> Any:
    import tensorflow as tf

    return tf.raw_ops.LoadAndRemapMatrix(
        ckpt_path=text[0], old_tensor_name="a", row_remapping=[0], col_remapping=[0],
        initializing_values=[], num_rows=1, num_cols=1,
    )  # fmt: skip


def _constant(text: Any) -> Any:
    import tensorflow as tf

    return tf.raw_ops.ImmutableConst(dtype=tf.uint8, shape=[1], memory_region_name="/etc/passwd")


def _message(text: Any) -> Any:
    import tensorflow as tf

    return tf.io.decode_proto(
        text, "a.B", ["c"], [tf.string], descriptor_source="/etc/passwd"
    ).values[0]


def _sampled(text: Any) -> Any:
    import tensorflow as tf

    return tf.raw_ops.FixedUnigramCandidateSampler(
        true_classes=[[0]], num_true=1, num_sampled=1, unique=True, range_max=1,
        vocab_file="/etc/passwd",
    ).sampled_candidates  # fmt: skip


@pytest.mark.parametrize(
    ("op", "answer"),
    [
        ("GenerateVocabRemapping", _remapped),
        ("LoadAndRemapMatrix", _matrix),
        ("ImmutableConst", _constant),
        ("DecodeProtoV2", _message),
        ("FixedUnigramCandidateSampler", _sampled),
    ],
)
def test_op_whose_name_does_not_tell_that_it_reads_a_path_is_found(
    tmp_path: Path, op: str, answer: Callable[[Any], Any]
) -> None:
    (problem,) = problems(saved(tmp_path, answer))
    assert problem == f"{op} (1 times): reaches for files of the machine that serves"


def test_op_that_ends_the_process_is_found(tmp_path: Path) -> None:
    import tensorflow as tf

    def answer(text: Any) -> Any:
        with tf.control_dependencies([tf.raw_ops.Abort(error_msg="", exit_without_error=True)]):
            return tf.identity(text)

    (problem,) = problems(saved(tmp_path, answer))
    assert problem == "Abort (1 times): ends the process that serves"


def test_every_op_that_is_refused_by_its_name_is_one_of_tensorflow() -> None:
    """Another release may call it otherwise."""
    assert (servable_ops.PATH_OPS | servable_ops.ENDING_OPS) - servable_ops._known() == set()
