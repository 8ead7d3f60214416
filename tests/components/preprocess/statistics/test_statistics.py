"""Statistics of splits: right, the same however the rows are cut, and free of texts."""

from __future__ import annotations

import json
from collections import Counter
from itertools import permutations

import numpy as np
import pytest

from tpuline.components.preprocess.statistics import stored as statistics_file
from tpuline.components.preprocess.statistics.builder import (
    LANGUAGE_ROWS,
    TERM_ROWS,
    SampleShares,
    StatisticsBuilder,
    sample_shares,
)
from tpuline.components.preprocess.statistics.schema import Violation
from tpuline.components.preprocess.statistics.stored import DataFacts, Table, from_json, to_json
from tpuline.components.preprocess.statistics.sums import (
    CHARACTER_EDGES,
    Statistics,
    add_statistics,
    summarised,
)
from tpuline.components.preprocess.statistics.terms import token_table

from .made_statistics import ALL, LENGTH, VOCABULARY, Row, statistics

ROWS: list[Row] = [
    ("the parcel is late .", 0),
    ("please refund my cards", 1),
    ("my invoice is zzz", 1),
    ("москва is late", 0),
]


def many(count: int) -> list[Row]:
    return [(f"{text} {'thanks ' * (i % 14)}{i}".strip(), label)
            for i in range(count) for text, label in [ROWS[i % len(ROWS)]]]  # fmt: skip


def everything(found: Statistics) -> tuple[object, ...]:
    """All of it, in a form that can be compared."""
    return to_json(found), found.terms.keys.tolist(), found.terms.counts.tolist()


def test_counts_are_those_of_the_rows() -> None:
    found = statistics(ROWS)
    assert found.num_rows == 4
    assert found.label_counts.tolist() == [2, 2]
    assert found.length_counts.nonzero()[0].tolist() == [5, 6, 7]  # with [CLS] and [SEP]
    assert found.mean_length == (7 + 7 + 6 + 5) / 4
    assert found.length_quantile(0.5) == 6 and found.length_quantile(1.0) == 7
    assert found.num_unknown == 1 and found.num_content_tokens == 17
    assert found.unknown_rate == 1 / 17
    assert found.num_characters == sum(len(text) for text, _ in ROWS)


def test_coverage_leaves_special_tokens_out() -> None:
    found = statistics([("the parcel is late", 0)])
    assert found.vocabulary_size == len(VOCABULARY) - 5
    assert found.coverage == 4 / found.vocabulary_size
    assert found.token_counts[:5].tolist() == [0] * 5


def test_cut_rows_are_counted_at_the_full_length() -> None:
    found = statistics([("late " * 40, 0), ("late", 0)])
    assert found.num_truncated == 1 and found.truncated_share == 0.5
    assert found.length_counts[LENGTH] == 1


def test_documents_longer_than_a_window_count_in_the_last_bin() -> None:
    builder = StatisticsBuilder(
        token_table(VOCABULARY), num_labels=0, sequence_length=8, shares=ALL
    )
    builder.add(
        texts=["late " * 50], pairs=None, labels=None, token_ids=np.full(50, 6, np.int32),
        row_lengths=np.array([50]), truncated=np.array([False]), keys=[b"\0" * 16],
    )  # fmt: skip
    found = builder.build()
    assert found.length_counts.tolist() == [0] * 8 + [1]
    assert found.mean_length == 50 and not found.label_counts.size


@pytest.mark.parametrize("batch_rows", [1, 7, 256])
def test_batches_do_not_matter(batch_rows: int) -> None:
    whole = statistics(many(60), shares=SampleShares(languages=0.2, terms=0.5))
    cut = statistics(many(60), shares=SampleShares(languages=0.2, terms=0.5), batch_rows=batch_rows)
    assert everything(cut) == everything(whole)


def test_parts_add_up_to_the_whole_in_any_order() -> None:
    rows = many(90)
    whole = statistics(rows, shares=ALL)
    parts = [statistics(part, shares=ALL) for part in (rows[:5], rows[5:50], rows[50:])]
    for order in permutations(parts):
        first = add_statistics(order[:2])
        assert everything(add_statistics([first, order[2]])) == everything(whole)
    assert everything(add_statistics([])) == everything(Statistics())
    assert everything(add_statistics([Statistics(), whole])) == everything(whole)


def test_samples_are_drawn_by_content_and_about_as_large_as_wanted() -> None:
    rows: list[Row] = [(f"please refund parcel number {i}", i % 2) for i in range(1000)]
    shares = SampleShares(languages=0.03, terms=0.0)
    found = statistics(rows, shares=shares)
    assert 10 < found.languages.total() < 60
    backwards = statistics(rows[::-1], shares=shares)
    assert backwards.languages == found.languages
    assert sample_shares(1_000_000) == SampleShares(
        languages=LANGUAGE_ROWS / 1_000_000, terms=TERM_ROWS / 1_000_000
    )
    assert sample_shares(100) == ALL


def test_unlabelled_rows_have_everything_but_labels_and_terms() -> None:
    found = statistics([("the parcel is late", None)] * 9, shares=ALL)
    assert found.num_rows == 9
    assert not found.label_counts.any() and not len(found.terms.keys)
    assert found.token_counts.any()


def test_letters_are_counted_by_script_and_digits_are_none() -> None:
    found = statistics([("Москва 2024, ok!", 0), ("東京に", 1), ("état", 1)])
    assert found.scripts == {"Cyrillic": 6, "Latin": 6, "Han": 2, "Hiragana": 1}


def test_every_character_of_ascii_is_a_letter_or_none_as_unicode_says() -> None:
    for character in map(chr, range(128)):
        found = statistics([(character * 3, 0)])
        assert found.scripts == ({"Latin": 3} if character.isalpha() else {})


def test_a_pair_counts_for_scripts_and_characters() -> None:
    found = statistics([("late", 0)], pairs=["поздно"])
    assert found.scripts == {"Latin": 4, "Cyrillic": 6} and found.num_characters == 10


def test_languages_are_guessed_of_texts_that_are_long_enough() -> None:
    texts = [
        "please tell me where my parcel is and when it will be delivered",
        "wo ist mein Paket geblieben und wann wird es endlich geliefert",
        "ok",
    ]
    found = statistics([(text, 0) for text in texts], shares=ALL)
    assert found.languages == {"en": 1, "de": 1}


def test_characters_fall_into_bins_of_one_width_on_a_log_scale() -> None:
    found = statistics([("x" * 100, 0), ("x" * 127, 0), ("x" * 128, 0)])
    bins = {CHARACTER_EDGES[i]: int(n) for i, n in enumerate(found.character_counts) if n}
    assert bins == {91: 2, 128: 1}


def test_file_gives_back_what_was_written_and_holds_no_text() -> None:
    secret = "the secret of mrs zzyzx is 4711"
    found = summarised(statistics([*many(40), (secret, 0)] * 3, shares=ALL), VOCABULARY)
    facts = DataFacts(
        splits={"validation": found, "train": found},
        violations=(Violation(what="x", split="", expected=0.1, received=0.2, message="m"),),
        tables=(Table(title="t", columns=("a", "b"), rows=(("x", 1),)),),
    )
    written = statistics_file.dumps(facts)
    read = statistics_file.loads(written)
    assert statistics_file.dumps(read) == written
    assert list(read.splits) == ["train", "validation"]
    assert (read.violations, read.tables) == (facts.violations, facts.tables)
    assert "zzyzx" not in written and "4711" not in written
    assert "\n" not in written and ": " not in written


def test_read_statistics_still_add_up() -> None:
    found = statistics(many(30))
    read = from_json(json.loads(json.dumps(to_json(summarised(found, VOCABULARY)))))
    twice = add_statistics([read, found])
    assert twice.num_rows == 60 and twice.scripts == found.scripts + found.scripts
    assert isinstance(read.languages, Counter) and read.token_counts.dtype == np.int64


def test_file_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format 1"):
        statistics_file.loads('{"format": 2}')
