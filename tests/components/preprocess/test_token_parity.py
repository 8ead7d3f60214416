"""Token ids of preprocessing, of an exported SavedModel and of the field's own tokenizers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tokenizers import BertWordPieceTokenizer

from tpuline.components.example_spec import SPECIAL_TOKENS
from tpuline.components.export.head import Head
from tpuline.components.export.signatures import ServedClassifier
from tpuline.components.graph_tokenizer import TextTokenizer, WordpieceTokenizer, clean
from tpuline.components.modeling import BagSpec, build
from tpuline.components.preprocess.vocabulary.config import FILE_NAMES, Vocabulary
from tpuline.components.preprocess.vocabulary.learning import learn_file
from tpuline.components.sentencepiece_model import load_processor
from tpuline.components.serving import plain_texts
from tpuline.components.tokenizers import load, tokens
from tpuline.components.vocabulary import TokenizerType, load_vocabulary

from .parity_texts import is_known, random_texts, real_texts, reason, sampled, well_formed

pytestmark = pytest.mark.long

DATA_SETS = (
    "ag_news",
    "banking77",
    "financial_phrasebank",
    "imdb",
    "movielens_small",
    "mrpc",
    "sst2",
    "stsb",
    "tinyshakespeare",
    "tweet_eval",
    "umsab_multilingual",
    "wikitext103_eval",
)
SEQUENCE_LENGTH = 256
BATCH_SIZE = 256
STRINGS = [tf.TensorSpec([None], tf.string)]
FEW = 500
NUM_ROWS = [FEW, pytest.param(None, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]

SERVER = """
import json, sys
import numpy as np
import tensorflow as tf
import tensorflow_text
loaded = tf.saved_model.load(sys.argv[1])
texts = json.load(open(sys.argv[2], encoding="utf-8"))
rows = []
for start in range(0, len(texts), 256):
    for ids in loaded.token_ids(tf.constant(texts[start : start + 256], tf.string)).numpy():
        rows.append(ids[ids != 0])
np.savez(sys.argv[3], ids=np.concatenate(rows), lengths=[len(row) for row in rows])
assert not [name for name in sys.modules if name.startswith(("tpuline", "tokenizers"))]
"""

cleaned_batch = tf.function(clean, input_signature=STRINGS, autograph=False)


def batches(texts: list[str]) -> Iterator[tf.Tensor]:
    for start in range(0, len(texts), BATCH_SIZE):
        yield tf.constant(texts[start : start + BATCH_SIZE], tf.string)


def cleaned(texts: list[str]) -> list[str]:
    """As the first pass spills them."""
    return [text.decode() for batch in batches(texts) for text in cleaned_batch(batch).numpy()]


def preprocessed(tokenizer: TextTokenizer, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Ids one after the other and row lengths: cleaned in one pass, tokenised in the next."""
    tokenize = tf.function(tokenizer.tokenize, input_signature=STRINGS, autograph=False)
    rows = [tokenize(batch).token_ids for batch in batches(cleaned(texts))]
    return (
        np.concatenate([row.values.numpy() for row in rows]),
        np.concatenate([row.row_lengths().numpy() for row in rows]),
    )


@dataclass(frozen=True)
class Learnt:
    """Vocabularies of both types, and a SavedModel around each."""

    folder: Path

    def tokenizer(self, kind: TokenizerType, *, lowercase: bool = True) -> TextTokenizer:
        return load(
            kind,
            self.folder / FILE_NAMES[kind],
            lowercase=lowercase,
            sequence_length=SEQUENCE_LENGTH,
            has_text_pair=False,
        )

    def served(self, kind: TokenizerType, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """As `preprocessed`, by a process that has nothing of this project."""
        saved = self.folder / kind
        if not saved.exists():
            self._export(kind, saved)
        asked, answer = self.folder / "asked.json", self.folder / "answer.npz"
        asked.write_text(json.dumps(texts), encoding="utf-8")
        command = [sys.executable, "-c", SERVER, str(saved), str(asked), str(answer)]
        subprocess.run(command, check=True, capture_output=True)
        with np.load(answer) as found:
            return found["ids"], found["lengths"]

    def _export(self, kind: TokenizerType, saved: Path) -> None:
        file = self.folder / FILE_NAMES[kind]
        options: Any = {
            "has_text_pair": False,
            "sequence_length": SEQUENCE_LENGTH,
            "vocabulary_size": len(tokens(kind, file)),
        }
        model = build(BagSpec(embedding_dim=4, hidden_dim=4), num_labels=2, **options)
        labels = self.folder / "labels.txt"
        labels.write_text("no\nyes\n")
        classifier = ServedClassifier(
            model, self.tokenizer(kind), label_names=("no", "yes"), head=Head(), **options
        )
        classifier.save(saved, vocabulary_file=file, labels_file=labels)
        assert (saved / "assets" / file.name).read_bytes() == file.read_bytes()


def learn(folder: Path, texts: list[str]) -> Learnt:
    batch = cleaned(texts)
    for kind in ("wordpiece", "sentencepiece"):
        vocabulary = Vocabulary(type=kind, size=3000, min_frequency=1)
        learn_file(vocabulary, [batch], str(folder / FILE_NAMES[kind]))
    return Learnt(folder)


@pytest.fixture(scope="module")
def strings() -> list[str]:
    return random_texts(6_000, seed=1)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory, strings: list[str]) -> Learnt:
    """From random strings: most characters that they hold have ids."""
    return learn(tmp_path_factory.mktemp("random"), strings[:3000])


@pytest.fixture(scope="module")
def learnt_really(
    tmp_path_factory: pytest.TempPathFactory, real_data: Callable[[str], Path]
) -> Learnt:
    texts = [text for name in DATA_SETS for text in sampled(real_texts(real_data(name)), 500)]
    return learn(tmp_path_factory.mktemp("real"), texts)


@pytest.fixture(scope="module")
def disputed() -> frozenset[str]:
    """Characters that the `tokenizers` library takes for something else, each tried alone."""
    vocabulary = (*SPECIAL_TOKENS, "a", "b", "##b")
    assigned = (range(1, 0xD800), range(0xE000, 0x33480), range(0xE0000, 0xE0200))
    characters = [chr(code) for codes in assigned for code in codes]
    found: set[str] = set()
    for lowercase in (True, False):
        ours = WordpieceTokenizer(
            vocabulary, lowercase=lowercase, sequence_length=9, has_text_pair=False
        )
        texts = cleaned([f"a{character}b" for character in characters])
        differing = differences(ours, library(vocabulary, lowercase=lowercase), texts)
        found.update(characters[index] for index in differing)
    return frozenset(found)


def library(vocabulary: tuple[str, ...], *, lowercase: bool) -> BertWordPieceTokenizer:
    ids = {token: index for index, token in enumerate(vocabulary)}
    return BertWordPieceTokenizer(ids, lowercase=lowercase)


def differences(
    tokenizer: TextTokenizer, reference: BertWordPieceTokenizer, texts: list[str]
) -> list[int]:
    """Which of the cleaned texts have other pieces in the library."""
    pieces = tf.function(tokenizer.pieces, input_signature=STRINGS, autograph=False)
    found = []
    for number, batch in enumerate(batches(texts)):
        start = number * BATCH_SIZE
        encoded = reference.encode_batch(
            texts[start : start + BATCH_SIZE], add_special_tokens=False
        )
        for index, ids in enumerate(pieces(batch).to_list()):
            if ids != encoded[index].ids:
                found.append(start + index)
    return found


def counted(
    learnt: Learnt, texts: list[str], disputed: frozenset[str], *, lowercase: bool
) -> Counter[str | None]:
    """How many texts the library sees in another way, by the reason for it."""
    vocabulary = load_vocabulary(learnt.folder / FILE_NAMES["wordpiece"])
    tokenizer = learnt.tokenizer("wordpiece", lowercase=lowercase)
    differing = differences(tokenizer, library(vocabulary, lowercase=lowercase), texts)
    return Counter(reason(texts[index], disputed=disputed) for index in differing)


@pytest.mark.parametrize("kind", ["wordpiece", "sentencepiece"])
def test_saved_model_sees_random_strings_as_preprocessing_does(
    kind: TokenizerType, learnt: Learnt, strings: list[str]
) -> None:
    ids, lengths = preprocessed(learnt.tokenizer(kind), strings)
    served_ids, served_lengths = learnt.served(kind, strings)
    assert (lengths == served_lengths).all()
    assert (ids == served_ids).all()
    assert len(np.unique(ids)) > 500, "hardly a character is in the vocabulary"


@pytest.mark.parametrize("num_rows", NUM_ROWS)
@pytest.mark.parametrize("kind", ["wordpiece", "sentencepiece"])
def test_saved_model_sees_real_texts_as_preprocessing_does(
    kind: TokenizerType,
    num_rows: int | None,
    learnt_really: Learnt,
    real_data: Callable[[str], Path],
) -> None:
    texts = [text for name in DATA_SETS for text in sampled(real_texts(real_data(name)), num_rows)]
    ids, lengths = preprocessed(learnt_really.tokenizer(kind), texts)
    served_ids, served_lengths = learnt_really.served(kind, texts)
    assert (lengths == served_lengths).all()
    assert (ids == served_ids).all()


@pytest.mark.parametrize("num_rows", NUM_ROWS)
@pytest.mark.parametrize("lowercase", [True, False])
def test_plain_texts_are_the_same_past_the_graph(
    lowercase: bool,
    num_rows: int | None,
    learnt_really: Learnt,
    real_data: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    vocabulary = load_vocabulary(learnt_really.folder / FILE_NAMES["wordpiece"])
    file = tmp_path / plain_texts.FILE
    file.write_text(
        plain_texts.description(vocabulary, lowercase=lowercase, sequence_length=SEQUENCE_LENGTH)
    )
    past = plain_texts.PlainTokenizer(file)
    texts = [text for name in DATA_SETS for text in sampled(real_texts(real_data(name)), num_rows)]
    ids, lengths = preprocessed(learnt_really.tokenizer("wordpiece", lowercase=lowercase), texts)
    rows = past.rows(texts)
    num_plain = 0
    for row, expected in zip(rows, np.split(ids, np.cumsum(lengths)[:-1]), strict=True):
        if row is not None:
            num_plain += 1
            assert row == expected.tolist()
    assert num_plain > len(texts) / 2


def test_library_differs_only_on_characters_that_its_tables_do_not_know(
    disputed: frozenset[str],
) -> None:
    assert not [character for character in disputed if is_known(character)]
    assert len(disputed) < 1000, "of 210,000"


@pytest.mark.parametrize("lowercase", [True, False])
def test_library_agrees_on_all_well_formed_strings(
    lowercase: bool, learnt: Learnt, strings: list[str]
) -> None:
    texts = cleaned([well_formed(text) for text in strings])
    unlike = counted(learnt, texts, frozenset(), lowercase=lowercase)
    assert set(unlike) <= {reason("[SEP]", disputed=frozenset())}


@pytest.mark.parametrize("lowercase", [True, False])
def test_every_difference_to_the_library_has_a_reason(
    lowercase: bool, learnt: Learnt, strings: list[str], disputed: frozenset[str]
) -> None:
    found = counted(learnt, cleaned(strings), disputed, lowercase=lowercase)
    print(dict(found))
    assert None not in found
    assert len(found) > 1


@pytest.mark.parametrize("num_rows", NUM_ROWS)
@pytest.mark.parametrize("name", DATA_SETS)
def test_library_agrees_on_real_texts(
    name: str,
    num_rows: int | None,
    learnt_really: Learnt,
    real_data: Callable[[str], Path],
    disputed: frozenset[str],
) -> None:
    texts = cleaned(sampled(real_texts(real_data(name)), num_rows))
    for lowercase in (True, False):
        found = counted(learnt_really, texts, disputed, lowercase=lowercase)
        print(name, len(texts), lowercase, dict(found))
        assert None not in found
        assert found.total() <= len(texts) / 1000


@pytest.mark.parametrize("text", ["[SEP]", "aΣ", "σ" * 51, "a\u0898a"])
def test_every_reason_makes_a_difference(text: str) -> None:
    vocabulary = (*SPECIAL_TOKENS, *"aσς[]", "##a", "##σ", "##ς", "sep")
    ours = WordpieceTokenizer(vocabulary, lowercase=True, sequence_length=9, has_text_pair=False)
    theirs = library(vocabulary, lowercase=True)
    assert differences(ours, theirs, ["aa σς [a]", text, "aσ" * 25]) == [1]
    assert reason(text, disputed=frozenset("\u0898")) is not None


@pytest.mark.parametrize("num_rows", NUM_ROWS)
@pytest.mark.parametrize("name", DATA_SETS)
def test_sentencepiece_package_agrees_on_real_texts(
    name: str, num_rows: int | None, learnt_really: Learnt, real_data: Callable[[str], Path]
) -> None:
    assert_sentencepiece_agrees(learnt_really, sampled(real_texts(real_data(name)), num_rows))


def test_sentencepiece_package_agrees_on_random_strings(learnt: Learnt, strings: list[str]) -> None:
    assert_sentencepiece_agrees(learnt, strings)


def assert_sentencepiece_agrees(learnt: Learnt, texts: list[str]) -> None:
    """But for ties: of two ways to cut `sss` in two, versions of the library take either."""
    processor = load_processor((learnt.folder / FILE_NAMES["sentencepiece"]).read_bytes())
    tokenizer = learnt.tokenizer("sentencepiece")
    pieces = tf.function(tokenizer.pieces, input_signature=STRINGS, autograph=False)
    num_ties = num_pieces = 0
    for batch in batches(cleaned(texts)):
        words = [text.decode() for text in batch.numpy()]
        for ours, theirs in zip(pieces(batch).to_list(), processor.encode(words), strict=True):
            num_pieces += len(ours)
            if ours != theirs:
                assert processor.decode(ours) == processor.decode(theirs)
                scores = [sum(map(processor.get_score, ids)) for ids in (ours, theirs)]
                assert scores[0] == pytest.approx(scores[1], rel=1e-6)
                num_ties += 1
    print(f"ties in {num_ties} of {len(texts)} texts, {num_pieces} pieces")
    assert num_ties <= num_pieces / 2000
