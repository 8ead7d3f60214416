"""Learning a vocabulary from word counts."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tpuline.components.example_spec import SPECIAL_TOKENS
from tpuline.components.preprocess.vocabulary.learning import count_words, learn
from tpuline.components.preprocess.vocabulary.wordpiece import learn_vocabulary


def made_up_words(seed: int, num_words: int = 400) -> dict[str, int]:
    drawn = random.Random(seed)
    return {
        "".join(drawn.choices("aabcde", k=drawn.randint(1, 9))): drawn.randint(1, 9)
        for _ in range(num_words)
    }


def slow_vocabulary(word_counts: dict[str, int], size: int, min_frequency: int) -> list[str]:
    """The same by counting everything anew for every merge."""
    word_counts = {word: n for word, n in word_counts.items() if n >= min_frequency}
    words = [
        ([word[0], *("##" + letter for letter in word[1:])], count)
        for word, count in word_counts.items()
    ]
    starts, inner = Counter[str](), Counter[str]()
    for pieces, count in words:
        starts[pieces[0]] += count
        inner.update(dict.fromkeys(pieces[1:], 0))
        for piece in pieces[1:]:
            inner[piece] += count
    vocabulary = [*SPECIAL_TOKENS, *sorted(starts), *sorted(inner)]
    while len(vocabulary) < size:
        pairs = Counter[tuple[str, str]]()
        for pieces, count in words:
            for pair in pairwise(pieces):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] < min_frequency:
            break
        joined = best[0] + best[1][2:]
        if joined not in vocabulary:
            vocabulary.append(joined)
        for pieces, _ in words:
            i = 0
            while i < len(pieces) - 1:
                if (pieces[i], pieces[i + 1]) == best:
                    pieces[i : i + 2] = [joined]
                i += 1
    return vocabulary


@pytest.mark.parametrize("seed", range(4))
def test_fast_learning_gives_what_slow_counting_gives(seed: int) -> None:
    words = made_up_words(seed)
    fast = learn_vocabulary(words, size=250, min_frequency=2)
    assert list(fast) == slow_vocabulary(words, 250, 2)


def test_special_tokens_come_first_and_size_is_kept() -> None:
    vocabulary = learn_vocabulary(made_up_words(0), size=120, min_frequency=1)
    assert vocabulary[:5] == SPECIAL_TOKENS
    assert len(vocabulary) == 120 == len(set(vocabulary))


def test_rare_pieces_do_not_count() -> None:
    vocabulary = learn_vocabulary({"ab": 5, "abz": 1}, size=200, min_frequency=2)
    assert vocabulary == (*SPECIAL_TOKENS, "a", "##b", "ab")


def test_characters_leave_room_for_words() -> None:
    words = {chr(0x4E00 + i): 2 for i in range(500)} | {"hello": 900}
    vocabulary = learn_vocabulary(words, size=200, min_frequency=1)
    assert len([token for token in vocabulary if len(token) == 1]) == 50
    assert "hello" in vocabulary


def test_words_are_those_of_the_tokenizer() -> None:
    counts = count_words(
        [["Don't stop!", "Éa 日本 stop " + "x" * 101]], lowercase=True, max_bytes=1000
    )
    assert counts == {
        "don": 1, "'": 1, "t": 1, "stop": 2, "!": 1, "ea": 1, "日": 1, "本": 1,
    }  # fmt: skip


PROGRAM = """
import json, random
from tpuline.components.preprocess.vocabulary.wordpiece import learn_vocabulary
drawn = random.Random(1)
words = {"".join(drawn.choices("abcdéü字", k=drawn.randint(1, 7))) for _ in range(500)}
print(json.dumps(learn_vocabulary(dict.fromkeys(words, 2), size=300, min_frequency=2)))
"""


def test_vocabulary_is_the_same_in_every_process() -> None:
    """The words come out of a set, so in another order in each; most frequencies are equal."""

    def learnt(hash_seed: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            check=True,
        )
        return json.loads(done.stdout)

    first = learnt("1")
    assert len(first) == 300
    assert learnt("2") == learnt("3") == first


def test_learning_reads_no_more_than_it_needs() -> None:
    def batches() -> Iterator[list[str]]:
        yield ["seen " * 20_000]
        yield ["seen " * 80_000]
        raise AssertionError("read on")

    assert "seen" in learn(batches(), size=200, min_frequency=1, lowercase=True)
