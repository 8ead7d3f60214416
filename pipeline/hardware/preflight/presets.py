"""Sizes of KerasHub's BERT presets by name, so that no network is needed to lower one. Pure.

As in their configs (https://keras.io/keras_hub/presets/), where KerasHub's own table names the
parameters; a test holds these sizes against it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ....components.modeling import BertSpec, ModelSpec


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What a BERT is made of, weights aside. All of these have two kinds of segments."""

    vocabulary_size: int = 30_522  # uncased English
    num_layers: int
    hidden_dim: int
    num_heads: int
    intermediate_dim: int | None = None  # null: four times hidden_dim
    max_positions: int = 512

    @property
    def num_parameters(self) -> int:
        """Of the backbone, pooler included."""
        dim, inner = self.hidden_dim, self.intermediate_dim or 4 * self.hidden_dim
        embeddings = (self.vocabulary_size + self.max_positions + 2) * dim + 2 * dim
        attention = 4 * (dim * dim + dim) + 2 * dim
        feedforward = dim * inner + inner + inner * dim + dim + 2 * dim
        return embeddings + self.num_layers * (attention + feedforward) + dim * dim + dim


_CASED, _CHINESE, _MULTILINGUAL = 28_996, 21_128, 119_547
_BASE = Sizes(num_layers=12, hidden_dim=768, num_heads=12)
_LARGE = Sizes(num_layers=24, hidden_dim=1024, num_heads=16)
_MINI_6 = Sizes(num_layers=6, hidden_dim=384, num_heads=12)
_MINI_12 = Sizes(num_layers=12, hidden_dim=384, num_heads=12)

PRESETS = {
    "bert_tiny_en_uncased": Sizes(num_layers=2, hidden_dim=128, num_heads=2),
    "bert_tiny_en_uncased_sst2": Sizes(num_layers=2, hidden_dim=128, num_heads=2),
    "bert_small_en_uncased": Sizes(num_layers=4, hidden_dim=512, num_heads=8),
    "bert_medium_en_uncased": Sizes(num_layers=8, hidden_dim=512, num_heads=8),
    "bert_base_en_uncased": _BASE,
    "bert_base_en": replace(_BASE, vocabulary_size=_CASED),
    "bert_base_zh": replace(_BASE, vocabulary_size=_CHINESE),
    "bert_base_multi": replace(_BASE, vocabulary_size=_MULTILINGUAL),
    "bert_large_en_uncased": _LARGE,
    "bert_large_en": replace(_LARGE, vocabulary_size=_CASED),
    "all_minilm_l6_v2_en": _MINI_6,
    "all_minilm_l6_v1_en": _MINI_6,
    "all_minilm_l12_v2_en": _MINI_12,
    "paraphrase_minilm_l6_v2_en": _MINI_6,
    "paraphrase_minilm_l12_v2_en": _MINI_12,
    "multi_qa_minilm_l6_cos_v1_en": _MINI_6,
    "multi_qa_minilm_l6_dot_v1_en": _MINI_6,
    "msmarco_minilm_l6_cos_v5_en": _MINI_6,
    "msmarco_minilm_l12_cos_v5_en": _MINI_12,
    "bge_small_en": _MINI_12,
    "bge_base_en": _BASE,
    "bge_large_en": _LARGE,
    "bge_small_v1.5_en": _MINI_12,
    "bge_base_v1.5_en": _BASE,
    "bge_large_v1.5_en": _LARGE,
    "bge_base_zh": replace(_BASE, vocabulary_size=_CHINESE),
    "bge_large_zh": replace(_LARGE, vocabulary_size=_CHINESE),
    "bge_base_v1.5_zh": replace(_BASE, vocabulary_size=_CHINESE),
    "bge_large_v1.5_zh": replace(_LARGE, vocabulary_size=_CHINESE),
}


def architecture(spec: ModelSpec) -> BertSpec | None:
    """The sizes of the spec's preset; None where it has none, or one that is not known by name."""
    if not isinstance(spec, BertSpec) or spec.preset is None:
        return None
    sizes = PRESETS.get(spec.preset)
    if sizes is None:
        return None
    return BertSpec(
        num_layers=sizes.num_layers,
        num_heads=sizes.num_heads,
        hidden_dim=sizes.hidden_dim,
        intermediate_dim=4 * sizes.hidden_dim,
        max_positions=sizes.max_positions,
    )
