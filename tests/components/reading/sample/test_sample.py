"""The embedded sample: the same rows everywhere, varied, beyond what a bag of words can solve."""

from __future__ import annotations

import hashlib
import random
import re
import subprocess
import sys
from collections import Counter

import pytest

from tpuline.components.reading.sample.grammar import BACKGROUNDS, CONTRASTS, expand
from tpuline.components.reading.sample.messages import (
    INTENTS,
    MISTAKEN_FOR,
    NOTICE,
    messages,
)
from tpuline.components.reading.sample.noise import add_noise, make_typo


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, str]]:
    return list(messages())


def test_sample_is_the_same_everywhere(rows):
    digest = hashlib.sha256("".join(f"{intent}\t{text}\0" for text, intent in rows).encode())
    assert digest.hexdigest() == "68d3190271e8dfecf1f6b10caa5185e947f0e51c367b2a6b1314d1b95269a3c2"
    assert len(rows) == 8000


def test_fewer_rows_are_the_first_of_more(rows):
    assert list(messages(500)) == rows[:500]


def test_another_seed_gives_other_rows(rows):
    assert not set(messages(50, seed=21)) & set(rows[:50])


def test_less_than_one_row_is_refused():
    with pytest.raises(ValueError, match="num_rows: must be at least 1; received 0"):
        messages(0)


def test_sample_needs_the_standard_library_only():
    code = (
        "import sys; from tpuline.components.reading.sample import messages; "
        "next(messages.messages());"
        "print([m for m in sys.modules if m.split('.')[0] in"
        " ('numpy', 'tensorflow', 'keras', 'apache_beam', 'sklearn', 'pyarrow')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_sample_says_that_it_is_made_up():
    assert "made-up" in NOTICE.lower()
    assert "No real people" in NOTICE


def test_intents_come_in_the_shares_they_state(rows):
    assert sum(intent.share for intent in INTENTS.values()) == pytest.approx(1)
    counts = Counter(intent for _, intent in rows)
    assert set(counts) == set(INTENTS)
    for name, intent in INTENTS.items():
        assert counts[name] / len(rows) == pytest.approx(intent.share, abs=0.02), name


def test_every_intent_has_many_distinct_skeletons():
    asks = [ask for intent in INTENTS.values() for ask in intent.asks]
    assert len(asks) == len(set(asks))
    assert all(len(intent.asks) >= 25 for intent in INTENTS.values())


def test_mistaken_labels_are_other_intents():
    assert set(MISTAKEN_FOR) == set(INTENTS)
    assert all(wrong in INTENTS and wrong != right for right, wrong in MISTAKEN_FOR.items())


def test_duplicates_are_few_and_words_are_many(rows):
    texts = [text for text, _ in rows]
    assert 1 - len(set(texts)) / len(texts) < 0.03
    assert len({word for text in texts for word in re.findall(r"[a-z]+", text.lower())}) > 1500


def test_notation_is_read_to_its_end_in_every_message(rows):
    assert not [text for text, _ in rows if re.search(r"[{}|\[\]]", text)]


def test_texts_are_short_and_exercise_cleaning(rows):
    texts = [text for text, _ in rows]
    assert max(len(text.split()) for text in texts) < 48
    assert min(len(text.split()) for text in texts) >= 3
    for mark in ("<br", "\t", "\u00a0", "\n", "’", "🙂", "ë", "e\u0301"):
        assert any(mark in text for text in texts), repr(mark)


def test_contrasts_hold_both_requests_with_the_same_words():
    for frame in CONTRASTS:
        both = [
            expand(frame, random.Random(1), {"target": target, "other": other})
            for target, other in (("log in", "cancel it"), ("cancel it", "log in"))
        ]
        assert both[0] != both[1]
        words = [Counter(re.findall(r"\w+", text)) for text in both]
        assert words[0] == words[1], frame


def test_background_frames_all_carry_a_request():
    assert all(
        "{ask}" in frame and ("{past}" in frame) != ("{topic}" in frame) for frame in BACKGROUNDS
    )


def test_expand_reads_nested_choices_and_facts():
    seen = {expand("x[1|[2|{n}]|]", random.Random(seed), {"n": "3"}) for seed in range(60)}
    assert seen == {"x1", "x2", "x3", "x"}


def test_typo_changes_one_word_by_one_slip():
    for seed in range(200):
        typed = make_typo("Please cancel order 1234", random.Random(seed))
        assert "1234" in typed
        assert abs(len(typed) - len("Please cancel order 1234")) <= 1
    assert make_typo("a 12 b", random.Random(0)) == "a 12 b"


def test_noise_leaves_numbers_and_some_texts_alone():
    text = "Hello, I'd like to cancel order 1234. Thanks!"
    noisy = [add_noise(text, random.Random(seed)) for seed in range(300)]
    assert all("1234" in each for each in noisy)
    assert 0.1 < noisy.count(text) / len(noisy) < 0.6


@pytest.fixture(scope="module")
def linear_accuracies(rows) -> dict[int, float]:
    """Accuracy on the last 1,600 rows of a linear model on words, and on words and pairs."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    texts, intents = zip(*rows, strict=True)
    scores = {}
    for longest in (1, 2):
        vectorizer = TfidfVectorizer(ngram_range=(1, longest), sublinear_tf=True)
        model = LinearSVC().fit(vectorizer.fit_transform(texts[:6400]), intents[:6400])
        scores[longest] = model.score(vectorizer.transform(texts[6400:]), intents[6400:])
    return scores


def test_bag_of_words_learns_much_but_not_all(linear_accuracies):
    assert 0.80 < linear_accuracies[1] < 0.90


def test_word_order_tells_more_than_words(linear_accuracies):
    assert linear_accuracies[1] + 0.02 < linear_accuracies[2] < 0.95
