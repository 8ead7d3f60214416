"""A folder that export made -> answers to raw texts, whatever the format. Imports what it needs.

A SavedModel answers by itself. Of other formats the folder holds the tokenizer as a SavedModel, the
part from tokens to probabilities as the runtime wants it, and the labels; of a WordPiece tokenizer
what plain texts need besides.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..example_spec import PADDING_MASK, TEXT, TEXT_PAIR, TOKEN_IDS
from .plain_texts import padded, plain_tokenizer

if TYPE_CHECKING:
    import numpy as np

LABEL, SCORE, PROBABILITIES = "label", "score", "probabilities"
"""Names of the outputs of every signature."""

LABELS_ON = "labels_on"
"""One more of multi-label models: bool `(B, C)`."""

MODEL_FILES = {"onnx": "model.onnx", "litert": "model.tflite", "openvino": "model.xml"}
"""The part from tokens to probabilities, by format; a SavedModel has all in one."""

TOKENIZER_DIR, LABELS_FILE = "tokenizer", "labels.txt"
THRESHOLD_FILE = "threshold.json"
"""`label` and the `probability` from which on it is answered; not there: the largest decides."""

SEVERAL_FILE = "several_labels.json"
"""Of multi-label models: the `separator` of the names in `label`, and `thresholds` by label id."""

Features = dict[str, Any]
"""Arrays int32 `(B, L)` by the names of `example_spec.model_inputs`."""

Run = Callable[[Features], "np.ndarray"]
"""Features to probabilities float32 `(B, C)`."""


class Answering:
    """What is served; several threads may ask at once.

    Columns are lists of B texts: (texts,), or (texts, text pairs).
    """

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the columns of texts, in their order."""
        raise NotImplementedError

    @property
    def has_token_ids(self) -> bool:
        """Whether `token_ids` may be asked; all that export makes has them."""
        return True

    def texts(self, columns: Sequence[Sequence[str | bytes]]) -> dict[str, np.ndarray]:
        """`label` bytes `(B,)`, `score` float32 `(B,)`, the probability of that label, and
        `probabilities` float32 `(B, C)`. Of multi-label models `label` has the names of all that
        are on, `score` is the largest probability, and `labels_on` bool `(B, C)`.
        """
        raise NotImplementedError

    def token_ids(self, columns: Sequence[Sequence[str | bytes]]) -> np.ndarray:
        """What the model is fed of the texts, int32 `(B, L)`."""
        raise NotImplementedError

    def tokens(self, features: Features) -> np.ndarray:
        """Probabilities of tokenised rows."""
        raise NotImplementedError


def load(folder: Path) -> Answering:
    """The model in `folder`.

    Raises:
        ValueError: there is none, or its runtime is not installed.
    """
    if (folder / "saved_model.pb").is_file():
        return SavedModel(folder)
    for kind, file in MODEL_FILES.items():
        if (folder / file).is_file():
            return TokenModel(folder, _RUNTIMES[kind](folder / file))
    known = ", ".join(("saved_model.pb", *MODEL_FILES.values()))
    raise ValueError(f"{folder}: must hold one of {known}; received none of them; export again")


class SavedModel(Answering):
    """A SavedModel with the signatures of `export.signatures`."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf
        import tensorflow_text  # noqa: F401  registers the ops that the tokenizer uses

        self._tf = tf
        # Signatures live as long as the model does.
        self.model = tf.saved_model.load(str(folder))
        self._asked = {name: _direct(found) for name, found in self.model.signatures.items()}
        self._token_ids = _token_ids(self.model)

    @property
    def inputs(self) -> tuple[str, ...]:
        taken = self.model.signatures["serving_default"].structured_input_signature[1]
        return tuple(name for name in (TEXT, TEXT_PAIR) if name in taken)

    def texts(self, columns: Sequence[Sequence[str | bytes]]) -> dict[str, np.ndarray]:
        return self._ask("serving_default", self._strings(columns))

    @property
    def has_token_ids(self) -> bool:
        return self._token_ids is not None

    def token_ids(self, columns: Sequence[Sequence[str | bytes]]) -> np.ndarray:
        assert self._token_ids is not None, "see has_token_ids"
        ids: np.ndarray = self._token_ids(self._strings(columns)).numpy()
        return ids

    def tokens(self, features: Features) -> np.ndarray:
        return self._ask("tokens", features)[PROBABILITIES]

    def examples(self, records: Sequence[bytes]) -> np.ndarray:
        """Probabilities of serialised tf.Examples."""
        return self._ask("examples", {"examples": records})[PROBABILITIES]

    def _ask(self, signature: str, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
        made = {name: self._tf.constant(value) for name, value in inputs.items()}
        # .numpy() waits for a device that computes behind the call's back
        return {name: value.numpy() for name, value in self._asked[signature](made).items()}

    def _strings(self, columns: Sequence[Sequence[str | bytes]]) -> dict[str, Any]:
        names = (TEXT, TEXT_PAIR)[: len(columns)]
        return {
            name: self._tf.constant(column, self._tf.string)
            for name, column in zip(names, columns, strict=True)
        }


class TokenModel(Answering):
    """A tokenizer of TensorFlow's before a model of another runtime; plain texts go past it."""

    def __init__(self, folder: Path, run: Run) -> None:
        self._tokenizer = SavedModel(folder / TOKENIZER_DIR)
        self._plain = plain_tokenizer(folder)
        self._run = run
        labels = (folder / LABELS_FILE).read_text(encoding="utf-8").split("\n")[:-1]
        self._labels = [label.encode() for label in labels]
        self._threshold = _threshold(folder / THRESHOLD_FILE, labels)
        self._several = _several(folder / SEVERAL_FILE)

    @property
    def inputs(self) -> tuple[str, ...]:
        return self._tokenizer.inputs

    def texts(self, columns: Sequence[Sequence[str | bytes]]) -> dict[str, np.ndarray]:
        import numpy as np

        probabilities = self._run(self._features(columns))
        if self._several is not None:
            return several_labels(probabilities, self._labels, *self._several)
        answered = label_ids(probabilities, self._threshold)
        return {
            LABEL: np.array([self._labels[index] for index in answered], object),
            SCORE: probabilities[np.arange(len(answered)), answered],
            PROBABILITIES: probabilities,
        }

    def token_ids(self, columns: Sequence[Sequence[str | bytes]]) -> np.ndarray:
        ids: np.ndarray = self._features(columns)[TOKEN_IDS]
        return ids

    def tokens(self, features: Features) -> np.ndarray:
        return self._run(features)

    def _features(self, columns: Sequence[Sequence[str | bytes]]) -> Features:
        if self._plain is None:
            return self._by_graph(columns)
        rows: list[Any] = self._plain.rows(columns[0])
        others = [place for place, row in enumerate(rows) if row is None]
        if others:
            features = self._by_graph([[columns[0][place] for place in others]])
            lengths = features[PADDING_MASK].sum(axis=1)
            for place, ids, length in zip(others, features[TOKEN_IDS], lengths, strict=True):
                rows[place] = ids[:length]
        return padded(rows)

    def _by_graph(self, columns: Sequence[Sequence[str | bytes]]) -> Features:
        return self._tokenizer._ask("serving_default", self._tokenizer._strings(columns))


def _token_ids(model: Any) -> Callable[[dict[str, Any]], Any] | None:
    """The function of that name; a tokenizer alone has none, nor has a model of somebody else."""
    if not hasattr(model, "token_ids"):
        return None
    (concrete,) = model.token_ids.concrete_functions
    return _direct(concrete)


def _direct(signature: Any) -> Callable[[dict[str, Any]], Any]:
    """A signature without what Python does around each call of it, which is a good part of what a
    small model takes. The op that runs is the one that the call would end in.
    """
    import tensorflow as tf

    names = [spec.name for spec in tf.nest.flatten(signature.structured_input_signature)]
    dtypes = [output.dtype for output in signature.outputs]
    captured = signature.captured_inputs  # the model's variables and tables

    def ask(inputs: dict[str, Any]) -> Any:
        if inputs.keys() != set(names):
            raise ValueError(f"inputs: must be {', '.join(names)}; received {', '.join(inputs)}")
        args = [*(inputs[name] for name in names), *captured]
        outputs = tf.raw_ops.StatefulPartitionedCall(args=args, Tout=dtypes, f=signature)
        return tf.nest.pack_sequence_as(signature.structured_outputs, outputs)

    return ask


def label_ids(
    probabilities_BC: np.ndarray, threshold: tuple[int, float] | None = None
) -> np.ndarray:
    """The labels that are answered, int64 `(B,)`: of the largest probability or, of two labels, the
    one of `threshold` (label id, probability) from that probability on.
    """
    import numpy as np

    if threshold is None:
        best: np.ndarray = probabilities_BC.argmax(axis=1)
        return best
    label, probability = threshold
    return np.where(probabilities_BC[:, label] >= np.float32(probability), label, 1 - label)


def several_labels(
    probabilities_BC: np.ndarray,
    labels: Sequence[bytes],
    separator: bytes,
    thresholds: Sequence[float],
) -> dict[str, np.ndarray]:
    """What the signatures of a multi-label model give; `thresholds` by label id."""
    import numpy as np

    on_BC = probabilities_BC >= np.array(thresholds, np.float32)
    names = [separator.join(labels[label] for label in np.flatnonzero(on).tolist()) for on in on_BC]
    return {
        LABEL: np.array(names, object),
        LABELS_ON: on_BC,
        SCORE: probabilities_BC.max(axis=1),
        PROBABILITIES: probabilities_BC,
    }


def _several(file: Path) -> tuple[bytes, list[float]] | None:
    if not file.is_file():
        return None
    found = json.loads(file.read_text(encoding="utf-8"))
    return found["separator"].encode(), [float(one) for one in found["thresholds"]]


def _threshold(file: Path, labels: list[str]) -> tuple[int, float] | None:
    if not file.is_file():
        return None
    found = json.loads(file.read_text(encoding="utf-8"))
    return labels.index(found["label"]), float(found["probability"])


def _onnx(file: Path) -> Run:
    onnxruntime = _imported("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads()
    session = onnxruntime.InferenceSession(
        str(file), options, providers=onnxruntime.get_available_providers()
    )
    names = [given.name for given in session.get_inputs()]

    def run(features: Features) -> np.ndarray:
        probabilities: np.ndarray = session.run(None, {n: features[n] for n in names})[0]
        return probabilities

    return run


def _litert(file: Path) -> Run:
    interpreters = _imported("ai_edge_litert.interpreter", "litert")
    interpreter = interpreters.Interpreter(str(file), num_threads=num_threads())
    signature = interpreter.get_signature_runner("serving_default")
    names = list(signature.get_input_details())
    alone = threading.Lock()  # an interpreter is not for two threads at once

    def run(features: Features) -> np.ndarray:
        with alone:
            found: np.ndarray = signature(**{n: features[n] for n in names})[PROBABILITIES]
        return found

    return run


def _openvino(file: Path) -> Run:
    openvino = _imported("openvino", "openvino")
    # Its default on CPUs may be bfloat16, which no parity in float32 survives.
    hints = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": num_threads(),
    }
    compiled = openvino.Core().compile_model(str(file), "CPU", hints)
    request = compiled.create_infer_request()
    alone = threading.Lock()  # nor is a request
    names = [given.get_any_name() for given in compiled.inputs]

    def run(features: Features) -> np.ndarray:
        import numpy as np

        with alone:
            outputs = request.infer({name: features[name] for name in names})
            # a copy: the request uses its memory again
            return np.array(next(iter(outputs.values())))

    return run


_RUNTIMES: dict[str, Callable[[Path], Run]] = {
    "onnx": _onnx,
    "litert": _litert,
    "openvino": _openvino,
}


def num_threads() -> int:
    """Threads that a runtime may compute with: the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _imported(module: str, extra: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f"serve_as: {extra} needs packages that are not installed ({error}); "
            f"pip install 'tpuline[{extra}]'"
        ) from error
