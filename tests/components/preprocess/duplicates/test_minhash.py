"""Shingles and MinHash signatures."""

import itertools
import random
import subprocess
import sys

import numpy as np
import pytest

from tpuline.components.preprocess.duplicates.minhash import (
    MARGIN,
    SIGNATURE_VALUES,
    Bands,
    band_hashes,
    bands_for,
    num_differing,
    signatures,
)
from tpuline.components.preprocess.duplicates.shingles import shingles


def made_of(text: str) -> set[int]:
    return set(shingles([text]).hashes.tolist())


def texts_of(num: int, num_words: int, seed: int = 1) -> list[str]:
    drawn = random.Random(seed)
    return [" ".join(f"w{drawn.randrange(5000)}" for _ in range(num_words)) for _ in range(num)]


def test_shingles_are_the_runs_of_three_words() -> None:
    assert len(made_of("one two three four five")) == 3
    assert made_of("one two three four") & made_of("two three four five") == made_of(
        "two three four"
    )
    assert made_of("one two three") != made_of("three two one")
    assert made_of("one two three one two three one two three") == {
        *made_of("one two three"),
        *made_of("two three one"),
        *made_of("three one two"),
    }


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("it's so, so good!", "it s «so» so — good", True),  # words only
        ("naïve café", "naïve, café…", True),
        ("naïve café", "naive cafe", False),
        ("good", "good film", False),  # fewer than three words: all of them
        ("good film", "good film ever", False),
        ("ab c d", "a bc d", False),
        ("!!!", "!!!", True),  # no word: the text itself
        ("!!!", "???", False),
        ("天気がいい", "天気がいい。", True),  # each character a word
        ("x" * 70 + "a", "x" * 70 + "b", False),  # a word longer than is hashed at once
        ("x" * 64 + " a", "x" * 64 + "a", False),
        ("snake_case 3", "snake case 3", False),
    ],
)
def test_shingles_tell_words_apart_and_nothing_else(one: str, other: str, same: bool) -> None:
    assert (made_of(one) == made_of(other)) == same


def test_unspaced_scripts_have_shingles_of_characters() -> None:
    assert len(made_of("今日は天気がいいです")) == 8
    assert len(made_of("abc今日def")) == 2


def test_shingles_of_a_text_are_the_same_in_any_company() -> None:
    texts = ["", "a", "?", *texts_of(20, 7), "né à Zürich, où il pleut", "the end", "..."]
    together = shingles(texts)
    edges = together.edges.tolist()
    assert edges[-1] == len(together.hashes)
    for text, (start, end) in zip(texts, itertools.pairwise(edges), strict=True):
        alone = shingles([text])
        assert end > start
        assert together.hashes[start:end].tolist() == alone.hashes.tolist()


def test_share_of_equal_values_estimates_the_jaccard_similarity() -> None:
    texts = texts_of(400, 60)
    drawn = random.Random(2)
    changed = []
    for number, text in enumerate(texts):
        words = text.split()
        for _ in range(number % 12):
            words[drawn.randrange(len(words))] = "other"
        changed.append(" ".join(words))
    true = np.array(
        [
            len(made_of(a) & made_of(b)) / len(made_of(a) | made_of(b))
            for a, b in zip(texts, changed, strict=True)
        ]
    )
    estimated = 1 - num_differing(signatures(texts), signatures(changed)) / SIGNATURE_VALUES
    assert abs((estimated - true).mean()) < 0.01
    assert (estimated - true).std() < 0.05


def test_signatures_are_those_of_every_process() -> None:
    """A change of the hash, of rensa or of a processor's path would mix what cannot be mixed."""
    text = "the same text has the same signature wherever it is made: ça ne change pas"
    program = (
        "from tpuline.components.preprocess.duplicates.minhash import signatures\n"
        f"print(signatures([{text!r}])[0, :4].tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    here = signatures([text])[0, :4].tolist()
    assert done.stdout.strip() == str(here)
    assert here == [41604, 28757, 62070, 48071]


def test_bands_find_half_of_what_is_a_little_less_similar_than_wanted() -> None:
    for similarity in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        bands = bands_for(similarity)
        assert bands.count * bands.rows <= SIGNATURE_VALUES
        assert bands.found_share(similarity - MARGIN) >= 0.5 > bands.found_share(similarity - 0.25)
    assert bands_for(0.8) == Bands(count=16, rows=8)
    assert bands_for(0.8).found_share(0.9) > 0.999


def test_band_hashes_are_equal_where_all_values_of_the_band_are() -> None:
    bands = Bands(count=3, rows=4)
    one = np.arange(SIGNATURE_VALUES, dtype=np.uint16)
    other = one.copy()
    other[5] += 1
    hashes = band_hashes(np.stack([one, other]), bands)
    assert (hashes[0] == hashes[1]).tolist() == [True, False, True]
    swapped = one.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    assert band_hashes(swapped[None], bands)[0, 0] != hashes[0, 0]
