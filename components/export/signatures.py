"""The served module: tokenizer, classifier and label table behind three signatures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import fingerprint_pb2

from ..batches import id_checks, parse_features, within
from ..example_spec import (
    PADDING_MASK,
    SEGMENT_IDS,
    TEXT,
    TEXT_PAIR,
    TOKEN_IDS,
    model_inputs,
)
from ..graph_tokenizer import TextTokenizer, TokenRows
from ..serving.shapes import Shapes
from .head import Head

EXAMPLES = "examples"
"""Name of the input of the `examples` signature."""

Tensors = dict[str, tf.Tensor]


class ServedClassifier(tf.Module):
    """What the SavedModel holds. Rows are padded to the longest one of their batch; with `shapes`,
    batches are padded to one of few shapes, and for each the part from tokens on is compiled.

    Signatures, each giving `label` string `(B,)`, `score` float32 `(B,)` (the probability of that
    label; where `head` has a threshold it may be the smaller one) and `probabilities` float32
    `(B, C)`; of multi-label models also `labels_on`, see `head.SeveralHead`:

    * `serving_default`: `text` [, `text_pair`], raw strings `(B,)`,
    * `tokens`: `token_ids`, `padding_mask` [, `segment_ids`], int32 `(B, L)`,
    * `examples`: `examples`, serialised tf.Examples `(B,)` as the shards hold them.

    The last two refuse what no tokenizer gives. Tokens that were made here need no such look.

    `token_ids(text [, text_pair])`, int32 `(B, L)`, is a plain function beside them: what the
    string signature feeds to the model, for whoever wants to compare. It is no signature, so that
    a server does not offer it.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: TextTokenizer,
        *,
        label_names: Sequence[str],
        has_text_pair: bool,
        sequence_length: int,
        vocabulary_size: int,
        head: Head,
        shapes: Shapes | None = None,
    ) -> None:
        super().__init__(name="served_classifier")
        assert tokenizer.in_graph, "the stage refuses what cannot be saved"
        self.tokenizer = tokenizer
        # Only the variables: the Keras object would bring every layer's own functions along.
        self.weights = [weight.value for weight in model.weights]
        classify = _classifier(model, label_names, head, shapes)
        names = model_inputs(has_text_pair)
        texts = text_specs(has_text_pair)

        def from_strings(*columns: tf.Tensor) -> Tensors:
            return classify(pad(tokenizer(*columns), has_text_pair))

        def from_tokens(*features: tf.Tensor) -> Tensors:
            given = dict(zip(names, features, strict=True))
            return classify(_checked(given, sequence_length, vocabulary_size))

        def from_examples(examples: tf.Tensor) -> Tensors:
            features = parse_features(
                examples,
                has_text_pair=has_text_pair,
                max_length=sequence_length,
                vocabulary_size=vocabulary_size,
            )
            return classify(features)

        def token_ids(*columns: tf.Tensor) -> tf.Tensor:
            return pad(tokenizer(*columns), has_text_pair)[TOKEN_IDS]

        self.serving_default = _function(from_strings, texts)
        self.tokens = _function(from_tokens, specs(names, (None, None), tf.int32))
        self.examples = _function(from_examples, specs((EXAMPLES,), (None,), tf.string))
        self.token_ids = _function(token_ids, texts)

    def save(self, folder: Path, *, vocabulary_file: Path, labels_file: Path) -> None:
        """Writes the SavedModel; the two files become its assets."""
        self.vocabulary = tf.saved_model.Asset(str(vocabulary_file))
        self.labels = tf.saved_model.Asset(str(labels_file))
        signatures = {
            "serving_default": self.serving_default,
            "tokens": self.tokens,
            "examples": self.examples,
        }
        tf.saved_model.save(self, str(folder), signatures=signatures)
        _drop_uuid(folder / "fingerprint.pb")


def pad(rows: TokenRows, has_text_pair: bool) -> Tensors:
    """Model inputs `(B, L)`, L the longest row; with no row at all, `(0, 1)`."""
    lengths = rows.token_ids.row_lengths()
    longest = tf.maximum(tf.reduce_max(lengths), 1)  # the maximum of nothing is very negative
    shape = tf.stack([-1, longest])  # -1: as many as there are rows
    features = {
        TOKEN_IDS: rows.token_ids.to_tensor(shape=shape),
        PADDING_MASK: tf.sequence_mask(lengths, longest, dtype=tf.int32),
    }
    if has_text_pair:
        features[SEGMENT_IDS] = rows.segment_ids.to_tensor(shape=shape)
    return features


def _drop_uuid(file: Path) -> None:
    """Takes the random identity out of a fingerprint, the one thing that differs at each save."""
    fingerprint = fingerprint_pb2.FingerprintDef.FromString(file.read_bytes())
    fingerprint.ClearField("uuid")
    file.write_bytes(fingerprint.SerializeToString(deterministic=True))


def _classifier(
    model: Any, label_names: Sequence[str], head: Head, shapes: Shapes | None
) -> Callable[[Tensors], Tensors]:
    def probabilities_of(features: Tensors) -> tf.Tensor:
        return head.probabilities(model(features, training=False))

    answer = probabilities_of if shapes is None else _compiled(probabilities_of, shapes)

    def classify(features: Tensors) -> Tensors:
        return head.outputs(answer(features), label_names)

    return classify


def _compiled(
    probabilities_of: Callable[[Tensors], tf.Tensor], shapes: Shapes
) -> Callable[[Tensors], tf.Tensor]:
    """The same, compiled by XLA for each of `shapes` when it first comes up. Labels are strings,
    and strings cannot be compiled."""
    compiled = tf.function(probabilities_of, jit_compile=True, autograph=False)

    def padded(features: Tensors) -> tf.Tensor:
        num_rows, width = tf.unstack(tf.shape(features[TOKEN_IDS]))
        rows = _least(shapes.rows, num_rows)
        columns = _least(shapes.widths, width)
        paddings = [[0, rows - num_rows], [0, columns - width]]
        wide = {name: tf.pad(feature, paddings) for name, feature in features.items()}
        return compiled(wide)[:num_rows]

    return padded


def _least(sizes: Sequence[int], wanted: tf.Tensor) -> tf.Tensor:
    """The least of the increasing `sizes` that holds `wanted`; beyond all, a multiple of the last.

    Compiled code is kept for each shape, so there must not be one for every number.
    """
    index = tf.searchsorted(sizes, [wanted])[0]
    last = sizes[-1]
    beyond = -(-wanted // last) * last
    return tf.where(wanted > last, beyond, tf.gather(sizes, tf.minimum(index, len(sizes) - 1)))


def _checked(features: Tensors, sequence_length: int, vocabulary_size: int) -> Tensors:
    """The features, refused where they are no rows of tokens that the model can take.

    It would answer many: what is compiled looks an id beyond its table up at the end of it, and a
    mask of another shape stands for all rows.
    """
    token_ids, mask = features[TOKEN_IDS], features[PADDING_MASK]
    shape = tf.shape(token_ids)
    checks = [
        within(
            shape[1], 1, sequence_length, name=f"width of {TOKEN_IDS}", remedy="cut longer rows"
        ),
        *(
            tf.debugging.assert_equal(
                tf.shape(feature), shape, f"{name}: must have the shape of {TOKEN_IDS}"
            )
            for name, feature in features.items()
            if name != TOKEN_IDS
        ),
        *id_checks(features, vocabulary_size),
        within(mask, 0, 1, name=PADDING_MASK, remedy="1 is for tokens, 0 for what follows them"),
        tf.debugging.Assert(
            tf.reduce_all(tf.reduce_any(mask != 0, axis=1)), [f"{PADDING_MASK}: a row has no token"]
        ),
    ]
    with tf.control_dependencies(checks):
        return {name: tf.identity(feature) for name, feature in features.items()}


def text_specs(has_text_pair: bool) -> list[tf.TensorSpec]:
    """Of the raw strings."""
    return specs((TEXT, TEXT_PAIR) if has_text_pair else (TEXT,), (None,), tf.string)


def specs(names: Sequence[str], shape: tuple[None, ...], dtype: Any) -> list[tf.TensorSpec]:
    return [tf.TensorSpec(shape, dtype, name=name) for name in names]


def _function(python_function: Callable[..., Any], specs: list[tf.TensorSpec]) -> Any:
    return tf.function(python_function, input_signature=specs, autograph=False)
