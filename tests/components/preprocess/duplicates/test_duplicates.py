"""What is decided about equal and similar rows."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tpuline.components.preprocess.duplicates.decision import resolve
from tpuline.components.preprocess.duplicates.found import (
    Duplicates,
    DuplicatesConfig,
    Within,
)
from tpuline.components.preprocess.duplicates.search import tasks
from tpuline.components.preprocess.sharding.splits import content_key

from .duplicate_runs import (
    SENTENCE,
    Line,
    across,
    dropped,
    duplicates,
    fingerprints,
    numbered,
    search,
    variant,
    within,
)


def test_equal_rows_are_counted_split_by_split(tmp_path: Path) -> None:
    lines = [
        Line("train", "A film."),
        Line("train", "a film."),  # equal but for case
        Line("train", "ﬁne", "x"),
        Line("train", "fine", "y"),  # equal, but of another label
        Line("train", "FINE", "y"),
        Line("validation", "a film."),
        Line("test", "a film!"),  # not equal
        Line("test", "alone"),
        Line("test", "alone"),
    ]
    found = duplicates(tmp_path, lines, near="off")
    train = within(found)
    assert (train.exact_rows, train.exact_contents, train.conflict_rows) == (3, 2, 3)
    assert {(one.first, one.second) for one in train.exact_examples} == {
        ("train.csv:1", "train.csv:2"),
        ("train.csv:3", "train.csv:4"),
    }
    (conflict,) = train.conflict_examples
    assert (conflict.first, conflict.second) == ("train.csv:3", "train.csv:4")
    assert train.near_contents is None
    assert within(found, "validation") == Within(split="validation")
    assert within(found, "test").exact_rows == 1
    shared = across(found, "train", "validation")
    assert shared.exact_contents == 1 and shared.near_contents is None
    (example,) = shared.exact_examples
    assert (example.first, example.second, example.similarity) == (
        "train.csv:1",
        "validation.csv:6",
        1,
    )
    assert across(found).exact_contents == across(found, "validation").exact_contents == 0


def test_train_loses_what_another_split_has(tmp_path: Path) -> None:
    near = SENTENCE.replace("lazy", "sleepy")
    lines = [
        Line("train", "in both"),
        Line("train", "in validation"),
        Line("train", SENTENCE),
        Line("train", "only here"),
        Line("validation", "in both"),
        Line("validation", "in validation"),
        Line("validation", "also in test"),
        Line("test", "in both"),
        Line("test", "also in test"),
        Line("test", near),
    ]
    texts = [line.text for line in lines]
    found = duplicates(tmp_path, lines, near="report", similarity=0.6)
    assert dropped(found, texts) == {
        "in both": ("in_test", "test.csv", 8),
        "in validation": ("in_validation", "validation.csv", 6),
        SENTENCE: ("near_test", "test.csv", 10),
    }
    assert across(found, "validation").exact_contents == 2  # reported, never dropped
    assert across(found).near_contents == 1
    assert SENTENCE not in dropped(duplicates(tmp_path, lines, near="off"), texts)
    assert duplicates(tmp_path, lines, across="report").dropped_file == ""


def test_rows_that_go_for_their_label_are_repeats_of_nothing(tmp_path: Path) -> None:
    lines = [
        Line("train", "in both"),
        Line("train", SENTENCE),
        Line("test", "in both", "unknown"),
        Line("test", f"{SENTENCE} {SENTENCE} and more", "unknown"),
        Line("test", "in both", "unknown"),
    ]
    config = DuplicatesConfig(near="report", similarity=0.5)
    files = fingerprints(tmp_path, numbered(lines), config)
    found = search(tmp_path, files, config, labels={"x"})
    assert found.dropped_file == ""
    assert (across(found).exact_contents, across(found).near_contents) == (0, 0)
    assert within(found, "test").exact_rows == 0
    assert dropped(search(tmp_path, files, config), [SENTENCE, "in both"]).keys() == {
        SENTENCE,
        "in both",
    }


def test_similar_rows_of_train_leave_one_of_their_group(tmp_path: Path) -> None:
    texts = [SENTENCE, SENTENCE.replace("dark", "deep"), SENTENCE.replace("quick", "fast")]
    lines = [Line("train", text) for text in [*texts, "nothing like them at all"]]
    lines += [Line("test", variant(1)), Line("test", variant(2))]
    reported = duplicates(tmp_path, lines, near="report", similarity=0.5)
    assert reported.dropped_file == ""
    assert within(reported).near_contents == 2
    assert within(reported, "test").near_contents == 1
    assert all(0.5 <= one.similarity < 1 for one in within(reported).near_examples)
    found = duplicates(tmp_path, lines, near="drop", similarity=0.5)
    gone = dropped(found, [line.text for line in lines])
    smallest = min(texts, key=content_key)
    assert set(gone) == set(texts) - {smallest}
    assert set(gone.values()) == {("near_duplicate", "train.csv", texts.index(smallest) + 1)}


def chain(num: int) -> list[str]:
    """Texts of which each is near to the next, and to no other, at a similarity of 0.8."""
    words = [f"w{number}" for number in range(120)]
    texts = []
    for step in range(num):
        words[step * 15 : step * 15 + 6] = [f"v{step}x{place}" for place in range(6)]
        texts.append(" ".join(words))
    return texts


def test_group_reaches_as_far_as_rows_are_near_to_the_next(tmp_path: Path) -> None:
    texts = chain(6)
    found = duplicates(tmp_path, [Line("train", text) for text in texts], near="drop")
    assert set(dropped(found, texts)) == set(texts) - {min(texts, key=content_key)}


def test_group_keeps_the_smallest_key_that_no_other_split_takes(tmp_path: Path) -> None:
    texts = chain(6)
    first = min(range(6), key=lambda number: content_key(texts[number]))
    lines = [Line("train", text) for text in texts] + [Line("test", texts[first])]
    gone = dropped(duplicates(tmp_path, lines, near="drop"), texts)
    reasons = [gone[text][0] if text in gone else "" for text in texts]
    assert reasons[first] == "in_test"
    beside = [number for number in (first - 1, first + 1) if 0 <= number < 6]
    assert {reasons[number] for number in beside} == {"near_test"}
    others = [number for number in range(6) if number not in (first, *beside)]
    kept = min(others, key=lambda number: content_key(texts[number]))
    assert {number: reasons[number] for number in others} == {
        number: "" if number == kept else "near_duplicate" for number in others
    }
    assert {gone[texts[number]][1:] for number in others if number != kept} == {
        ("train.csv", kept + 1)
    }


def test_repeat_that_is_an_error_names_both_rows(tmp_path: Path) -> None:
    lines = [Line("train", "one"), Line("test", "two"), Line("test", "one"), Line("test", "Two")]
    with pytest.raises(
        ValueError, match=r"duplicates\.exact: .* received test\.csv:2 and test\.csv:4, .* of test"
    ):
        duplicates(tmp_path, lines, exact="error")
    duplicates(tmp_path, lines[:3], exact="error")  # across splits it is no repeat


def test_no_rows_have_no_duplicates(tmp_path: Path) -> None:
    config = DuplicatesConfig()
    assert tasks((), config) == ()
    assert resolve([], config, str(tmp_path)) == Duplicates()
    alone = duplicates(tmp_path, [Line("train", "alone")])
    assert not any(part.exact_rows or part.near_contents for part in alone.within)
    assert not any(part.exact_contents or part.near_contents for part in alone.across)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"exact": "keep"}, "exact"),
        ({"near": "error"}, "near"),
        ({"across": "off"}, "across"),
        ({"similarity": 0.4}, "similarity"),
        ({"similarity": 1.01}, "similarity"),
    ],
)
def test_config_names_what_it_does_not_take(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: must .*; received .*; "):
        DuplicatesConfig(**settings)


def test_facts_survive_json(tmp_path: Path) -> None:
    lines = [Line("train", SENTENCE), Line("train", SENTENCE, "y"), Line("test", SENTENCE + " now")]
    found = duplicates(tmp_path, lines, similarity=0.7)
    assert across(found).near_examples
    assert Duplicates.from_json(json.loads(json.dumps(asdict(found)))) == found
