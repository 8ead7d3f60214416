"""Changes that a reader would hardly notice."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tpuline.components.evaluate.perturbations import PERTURBATIONS, perturbed

TEXT = "A great film, really; but the ending: boring?"


def test_every_kind_changes_the_text_and_gives_the_same_again() -> None:
    for kind in PERTURBATIONS:
        once, again = (perturbed(kind, [TEXT, TEXT], seed=7) for _ in range(2))
        assert once == again
        assert once[0] != TEXT, kind


def test_seed_and_place_decide_about_typos() -> None:
    texts = perturbed("typos", [TEXT] * 30, seed=1)
    assert len(set(texts)) > 10
    assert texts != perturbed("typos", [TEXT] * 30, seed=2)
    assert texts[:10] == perturbed("typos", [TEXT] * 10, seed=1)


def test_typo_touches_the_inside_of_long_words_only() -> None:
    for seed in range(200):
        (changed,) = perturbed("typos", [TEXT], seed=seed)
        assert len(Counter(TEXT) - Counter(changed)) + (len(changed) == len(TEXT)) > 0
        assert len(TEXT) - 2 <= len(changed) <= len(TEXT)
        for before, after in zip(TEXT.split(), changed.split(), strict=True):
            assert before[0] == after[0] and before[-1] == after[-1]
            if len(before.strip(",;:?")) < 4:
                assert before == after


@pytest.mark.parametrize("text", ["", "a", "the", "12345", "你好", "👍"])
@pytest.mark.parametrize("kind", list(PERTURBATIONS))
def test_short_and_foreign_texts_are_taken(kind: str, text: str) -> None:
    assert isinstance(PERTURBATIONS[kind](text, random.Random(0)), str)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("upper_case", "A GREAT FILM, REALLY; BUT THE ENDING: BORING?"),
        ("no_punctuation", "A great film really but the ending boring"),
        ("right_to_left", f"\u202b{TEXT}\u202c"),
        ("spaces", TEXT.replace(" ", "\u00a0") + " \n"),
    ],
)
def test_kind_does_what_its_name_says(kind: str, expected: str) -> None:
    assert perturbed(kind, [TEXT], seed=0) == [expected]
