"""Learning SentencePiece models and byte pairs."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tpuline.components.byte_pair import is_byte_level, load_tokenizer
from tpuline.components.example_spec import SPECIAL_TOKENS
from tpuline.components.preprocess.vocabulary.config import FILE_NAMES, Vocabulary
from tpuline.components.preprocess.vocabulary.learning import bounded, learn_file
from tpuline.components.preprocess.vocabulary.subwords import learn_byte_pairs, learn_sentencepiece
from tpuline.components.sentencepiece_model import is_lowercasing, load_processor, special_ids
from tpuline.components.tokenizers import tokens

drawn = random.Random(5)
STEMS = ["".join(drawn.choices(("bo", "ra", "tin", "sel", "kön", "MA"), k=3)) for _ in range(150)]
TEXTS = [
    " ".join(stem + drawn.choice(("", "s", "ing", "ed")) for stem in drawn.choices(STEMS, k=12))
    for _ in range(400)
]

PROGRAM = """
import hashlib, json, random, sys
from tpuline.components.preprocess.vocabulary.subwords import learn_byte_pairs, learn_sentencepiece
drawn = random.Random(1)
words = ["".join(drawn.choices("abcdéü字", k=drawn.randint(1, 7))) for _ in range(3000)]
texts = [" ".join(drawn.choices(words, k=30)) for _ in range(400)]
model = learn_sentencepiece(texts, size=700, lowercase=True)
pairs = learn_byte_pairs(texts, size=700, min_frequency=2, lowercase=True)
print(json.dumps([hashlib.sha256(content).hexdigest() for content in (model, pairs)]))
"""


def test_learning_gives_the_same_bytes_in_every_process() -> None:
    """Whatever seeds its hash maps, and however many threads there are."""

    def learnt(hash_seed: str, num_threads: str) -> list[str]:
        seeds = {"PYTHONHASHSEED": hash_seed, "RAYON_NUM_THREADS": num_threads}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | seeds,
            stdout=subprocess.PIPE,
            check=True,
        )
        return json.loads(done.stdout)

    assert learnt("1", "1") == learnt("2", "4") == learnt("3", "2")


@pytest.mark.parametrize("lowercase", [True, False])
def test_sentencepiece_model_keeps_the_special_ids_of_wordpiece(lowercase: bool) -> None:
    model = learn_sentencepiece(TEXTS, size=200, lowercase=lowercase)
    processor = load_processor(model)
    assert tuple(processor.id_to_piece(i) for i in range(5)) == SPECIAL_TOKENS
    special = special_ids(model)
    found = (special.pad, special.unknown, special.start, special.end, special.mask)
    assert found == (0, 1, 2, 3, 4)
    assert is_lowercasing(model) == lowercase
    assert processor.vocab_size() <= 200
    assert len(processor.encode(TEXTS[0])) < len(TEXTS[0]) / 2


def test_sentencepiece_learns_from_texts_of_any_length() -> None:
    """The library's own default skips texts of more than 4,192 bytes."""
    long = " ".join(f"zebra {text}" for text in TEXTS)
    processor = load_processor(learn_sentencepiece([long], size=150, lowercase=True))
    assert processor.unk_id() not in processor.encode("zebra")


def test_sentencepiece_says_what_it_lacks() -> None:
    with pytest.raises(ValueError, match=r"preprocess\.vocabulary\.size: .* give more text"):
        learn_sentencepiece([], size=101, lowercase=True)


def test_sentencepiece_leaves_out_rare_characters_when_there_are_more_than_ids() -> None:
    rare = "".join(map(chr, range(0x4E00, 0x5000)))
    processor = load_processor(learn_sentencepiece([*TEXTS, rare], size=200, lowercase=True))
    assert processor.unk_id() in processor.encode(rare)
    assert processor.unk_id() not in processor.encode(TEXTS[0])


@pytest.mark.parametrize("lowercase", [True, False])
def test_byte_pairs_spell_every_text_and_give_it_back(lowercase: bool) -> None:
    content = learn_byte_pairs(TEXTS, size=600, min_frequency=2, lowercase=lowercase)
    tokenizer = load_tokenizer(content)
    assert is_byte_level(content)
    assert tuple(tokenizer.id_to_token(i) for i in range(5)) == SPECIAL_TOKENS
    text = "The yellow boat, 👩🏽‍🚒 [SEP] Čeněk"
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert not {0, 1, 2, 3, 4} & set(ids)
    assert tokenizer.decode(ids) == (text.lower() if lowercase else text)
    assert tokenizer.get_vocab_size() <= 600


def test_rare_byte_pairs_are_not_merged() -> None:
    seldom = learn_byte_pairs(["once"] * 2, size=600, min_frequency=3, lowercase=True)
    often = learn_byte_pairs(["once"] * 3, size=600, min_frequency=3, lowercase=True)
    assert load_tokenizer(seldom).get_vocab_size() == 5 + 256
    assert "once" in load_tokenizer(often).get_vocab()


@pytest.mark.parametrize("kind", FILE_NAMES)
def test_each_type_is_learnt_into_its_file(kind: str, tmp_path: Path) -> None:
    path = str(tmp_path / FILE_NAMES[kind])
    learn_file(Vocabulary(type=kind, size=600, min_frequency=2), [TEXTS[:200], TEXTS[200:]], path)
    assert 100 < len(tokens(kind, path)) <= 600


def test_learning_looks_at_no_more_text_than_it_needs() -> None:
    def batches() -> Iterator[list[str]]:
        yield ["é" * 5, "b" * 5, "never seen"]
        raise AssertionError("read on")

    assert list(bounded(batches(), max_bytes=15)) == ["é" * 5, "b" * 5]
