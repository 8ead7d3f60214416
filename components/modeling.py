"""Model specs and how to build a Keras classifier from one. Importing it imports no Keras.

Every model takes the features of `example_spec.model_inputs` and gives float32 logits `(B, C)`.
Padding may stand anywhere after the tokens and any id may stand in it: only `padding_mask` counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from .example_spec import PADDING_MASK, TOKEN_IDS, model_inputs

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class BertSpec:
    """A KerasHub BERT classifier: from a preset, or from scratch with the sizes below."""

    type: Literal["bert"] = "bert"
    preset: str | None = None  # a KerasHub name or a local folder; the sizes below are then unused
    num_layers: int = 2
    num_heads: int = 2
    hidden_dim: int = 128
    intermediate_dim: int = 512
    dropout: float = 0.1
    # What the head sees: the first token through BERT's own pooler, or the mean of all tokens, for
    # which encoders of sentences are trained.
    pooling: Literal["first", "mean"] = "first"
    max_positions: int | None = None  # rows of the position table; null: the sequence length
    heads: tuple[int, ...] | None = None  # that each block keeps of num_heads; null: all
    units: tuple[int, ...] | None = None  # that each block keeps of intermediate_dim; null: all
    remat: bool = False  # compute blocks again for their gradients: less memory, a third more work
    lora_rank: int | None = None  # train the head and adapters beside queries and values; e.g. 8
    freeze_backbone: bool = False  # train the head only

    def __post_init__(self) -> None:
        _check_sizes(self, "num_layers", "num_heads", "hidden_dim", "intermediate_dim")
        if self.hidden_dim % self.num_heads:
            raise ValueError(
                f"hidden_dim: must be a multiple of num_heads ({self.num_heads}); received "
                f"{self.hidden_dim}; e.g. {self.num_heads * 64}"
            )
        for name, most in (("heads", self.num_heads), ("units", self.intermediate_dim)):
            kept = getattr(self, name)
            if kept is not None and (
                len(kept) != self.num_layers or not all(1 <= n <= most for n in kept)
            ):
                raise ValueError(
                    f"{name}: must be a number from 1 to {most} for each of {self.num_layers} "
                    f"blocks; received {list(kept)}; null keeps all"
                )
        if self.preset is not None and not self.preset.strip():
            raise ValueError(
                f"preset: must name a preset or a folder, or be null; received {self.preset!r}; "
                "set it to null to train from scratch"
            )
        _check_levers(self)


@dataclass(frozen=True, kw_only=True)
class GruSpec:
    """Embedding, GRU, maximum and mean of its states over the tokens, dense layer."""

    type: Literal["gru"] = "gru"
    embedding_dim: int = 64
    units: int = 64
    bidirectional: bool = True
    dropout: float = 0.3  # also on the embeddings

    def __post_init__(self) -> None:
        _check_sizes(self, "embedding_dim", "units")


@dataclass(frozen=True, kw_only=True)
class BagSpec:
    """Mean of embeddings, one hidden layer: the cheap reference."""

    type: Literal["bag"] = "bag"
    embedding_dim: int = 64
    hidden_dim: int = 64
    dropout: float = 0.2

    def __post_init__(self) -> None:
        _check_sizes(self, "embedding_dim", "hidden_dim")


ModelSpec = BertSpec | GruSpec | BagSpec


def _check_sizes(spec: Any, *names: str) -> None:
    for name in names:
        if getattr(spec, name) < 1:
            raise ValueError(
                f"{name}: must be at least 1; received {getattr(spec, name)}; "
                f"the default is {getattr(type(spec), name)}"
            )
    if not 0 <= spec.dropout < 1:
        raise ValueError(
            f"dropout: must be in [0, 1); received {spec.dropout}; 0 turns it off, 0.1 is usual"
        )


def _check_levers(spec: BertSpec) -> None:
    if spec.lora_rank is not None and spec.lora_rank < 1:
        raise ValueError(
            f"lora_rank: must be at least 1, or null; received {spec.lora_rank}; 8 is usual"
        )
    for name in ("lora_rank", "freeze_backbone"):
        # What they freeze would otherwise stay as random as it began.
        if getattr(spec, name) and spec.preset is None:
            raise ValueError(
                f"{name}: must come with a preset, whose weights it keeps; received "
                f"{getattr(spec, name)} and preset null; name a preset, or leave {name} out"
            )
    for name in ("lora_rank", "remat"):
        if spec.freeze_backbone and getattr(spec, name):
            raise ValueError(
                f"freeze_backbone: must be false with {name}, which is for gradients of the "
                f"backbone; received true and {name} {getattr(spec, name)}; leave one of them out"
            )


def build(
    spec: ModelSpec,
    *,
    vocabulary_size: int,
    sequence_length: int,
    num_labels: int,
    has_text_pair: bool,
    tokenizer_fingerprint: str | None = None,
    architecture: BertSpec | None = None,
) -> keras.Model:
    """A functional classifier, int32 features `(B, L)` -> float32 logits `(B, C)`.

    It takes any L up to `sequence_length`. Padding does not change the logits of a row beyond
    rounding. Call it inside the scope of the lane: the variables are created there. A preset is
    read from disk or fetched, weights included. `tokenizer_fingerprint` is that of the data: with
    it, a preset of another tokenizer is refused. `architecture` has the sizes of the preset, which
    is then not read: its weights are random.

    Raises:
        ValueError: a preset that cannot be loaded, is too short or has another vocabulary.
    """
    import keras

    from .bert import check_tokenizer, pooled_output

    features = {
        name: keras.Input(shape=(None,), dtype="int32", name=name)
        for name in model_inputs(has_text_pair)
    }
    match spec:
        case BertSpec():
            if spec.preset is not None and tokenizer_fingerprint is not None:
                check_tokenizer(
                    spec.preset, fingerprint=tokenizer_fingerprint, has_text_pair=has_text_pair
                )
            pooled = pooled_output(
                spec,
                features,
                vocabulary_size=vocabulary_size,
                sequence_length=sequence_length,
                architecture=architecture,
            )
        case GruSpec():
            pooled = _gru(spec, features, vocabulary_size)
        case BagSpec():
            pooled = _bag(spec, features, vocabulary_size)
    pooled = keras.layers.Dropout(spec.dropout, name="classifier_dropout")(pooled)
    # Softmax and loss need float32 even where the rest computes in 16 bits.
    logits = keras.layers.Dense(num_labels, dtype="float32", name="logits")(pooled)
    return keras.Model(inputs=features, outputs=logits, name=f"{spec.type}_classifier")


def without_preset(spec: ModelSpec, classifier: keras.Model) -> ModelSpec:
    """The spec of the model as it is served: it takes the saved weights of `classifier` without
    its preset, and none of what only training needs.
    """
    if not isinstance(spec, BertSpec):
        return spec
    if spec.preset is None:
        return replace(spec, remat=False)
    from .bert import sizes

    backbone: Any = classifier.get_layer("backbone")
    return BertSpec(**sizes(backbone), pooling=spec.pooling, dropout=spec.dropout)


def _embedding(features: Any, vocabulary_size: int, dim: int) -> Any:
    import keras

    # No mask_zero: a mask that travels along with the tensors would also weigh the loss.
    layer = keras.layers.Embedding(vocabulary_size, dim, name="token_embedding")
    return layer(features[TOKEN_IDS])


def _gru(spec: GruSpec, features: Any, vocabulary_size: int) -> Any:
    import keras

    ops = keras.ops
    embedded = _embedding(features, vocabulary_size, spec.embedding_dim)
    embedded = keras.layers.Dropout(spec.dropout, name="embedding_dropout")(embedded)
    # TensorFlow has no QR in bfloat16; what is of 16 bits is loaded, not trained.
    initializer = "orthogonal" if _is_float32() else "glorot_uniform"
    # cuDNN's kernel would be baked into the SavedModel, which must also serve without a GPU.
    layer = keras.layers.GRU(
        spec.units,
        return_sequences=True,
        recurrent_initializer=initializer,
        use_cudnn=False,
        name="gru",
    )
    if spec.bidirectional:
        layer = keras.layers.Bidirectional(layer, name="bidirectional_gru")
    # Masked steps keep the state, so the way back starts at the last token of each row.
    mask = ops.cast(features[PADDING_MASK], "bool")
    states = layer(embedded, mask=mask)
    # No sum: Keras 3.15 adds a (1, L, 1) to a (1, L, D) along D where L is D.
    highest = ops.max(ops.where(ops.expand_dims(mask, -1), states, -1.0), axis=1)  # all are above
    return ops.concatenate(
        [ops.cast(highest, "float32"), _mean(states, features[PADDING_MASK])], axis=-1
    )


def _is_float32() -> bool:
    import keras

    return str(keras.config.dtype_policy().variable_dtype) == "float32"


def _bag(spec: BagSpec, features: Any, vocabulary_size: int) -> Any:
    import keras

    embedded = _embedding(features, vocabulary_size, spec.embedding_dim)
    hidden = keras.layers.Dense(spec.hidden_dim, activation="relu", name="hidden")
    return hidden(_mean(embedded, features[PADDING_MASK]))


def _mean(values: Any, padding_mask: Any) -> Any:
    """Mean over the tokens, `(B, L, D)` -> float32 `(B, D)`: 16 bits are too few for long sums."""
    from keras import ops

    weights = ops.cast(padding_mask, "float32")
    summed = ops.einsum("bl,bld->bd", weights, ops.cast(values, "float32"))
    return summed / ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1.0)
