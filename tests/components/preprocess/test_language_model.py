"""The stage for a language model: documents in, windows out, with every kind of vocabulary."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import tensorflow as tf

from tpuline.components import tokenizers
from tpuline.components.contracts import ShardSet
from tpuline.components.preprocess import stage
from tpuline.components.preprocess.vocabulary.config import TokenizerType, Vocabulary
from tpuline.components.reading.source import Source
from tpuline.components.stage import Context
from tpuline.components.train import stage as train

from .stage_runs import Log, config, preprocess, records, texts

LENGTH = 32
WORDS = ("river", "stone", "light", "Ärger")
DOCUMENTS = [
    " ".join(f"{word}{number % 7}" for word in WORDS[: 1 + number % 4])
    + f" number {number}" * (1 + number % 9)
    for number in range(300)
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "all.txt").write_text("\n".join(DOCUMENTS), encoding="utf-8")
    return folder


def made(data: Path, out: Path, kind: TokenizerType) -> ShardSet:
    source = Source(train="all.txt", format="lines", label_column=None)
    fields = {
        "task": "language_model",
        "source": source,
        "vocabulary": Vocabulary(type=kind, size=600, min_frequency=1),
        "sequence_length": LENGTH,
        "cut": stage.Cut(validation=0.1, test=0.1),
    }
    return preprocess(data, out, config(**fields))


@pytest.mark.parametrize("kind", ["wordpiece", "sentencepiece", "bpe"])
def test_windows_hold_every_token_of_every_document(
    data: Path, tmp_path: Path, kind: TokenizerType
) -> None:
    shards = made(data, tmp_path / "out", kind)
    tokenizer = tokenizers.load(
        kind,
        Path(shards.uri) / shards.vocabulary_file,
        lowercase=True,
        sequence_length=LENGTH,
        has_text_pair=False,
    )
    assert sum(split.num_documents for split in shards.splits) == len(DOCUMENTS)
    for split in shards.splits:
        documents = [row["text"] for row in texts(shards, split.name)]
        pieces = tokenizer.pieces(tf.constant(documents)).to_list()
        expected = Counter(token for row in pieces for token in row)
        found: Counter[int] = Counter()
        windows = records(shards, split.name)
        assert split.num_examples == len(windows)
        for window in windows:
            assert {len(values) for values in window.values()} == {LENGTH}
            real = [segment > 0 for segment in window["segment_ids"]]
            found.update(t for t, is_real in zip(window["token_ids"], real, strict=True) if is_real)
            assert sum(real) > 0
        for special in (tokenizer.special_ids.start, tokenizer.special_ids.end):
            assert special is None or found.pop(special) == len(documents)
        assert found == expected
        assert split.num_tokens == expected.total() + len(documents) * (
            1 + (tokenizer.special_ids.start is not None)
        )


def test_training_a_classifier_on_windows_is_refused(data: Path, tmp_path: Path) -> None:
    shards = made(data, tmp_path / "out", "wordpiece")
    ctx = Context(workdir=tmp_path, data_dir=data, seed=0, hardware=None, log=Log())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"preprocess\.task: .* --until preprocess"):
        train.run(train.Config(), train.Inputs(shards=shards), ctx)


def test_a_language_model_has_no_labels(data: Path) -> None:
    with pytest.raises(ValueError, match=r"label_column: .* label_column: null"):
        config(task="language_model")
    with pytest.raises(ValueError, match="label_column"):
        config(source=Source(train="all.txt", format="lines", label_column=None))
