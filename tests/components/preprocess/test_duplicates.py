"""Equal and similar rows: found whatever file they are in, and decided on."""

import csv
import gzip
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tpuline.components.preprocess import buckets, duplicate_decision, duplicate_search
from tpuline.components.preprocess.dropped import Dropped
from tpuline.components.preprocess.duplicate_decision import resolve
from tpuline.components.preprocess.duplicate_search import find, tasks
from tpuline.components.preprocess.duplicates import Across, Duplicates, DuplicatesConfig, Within
from tpuline.components.preprocess.fingerprints import FingerprintFile, FingerprintWriter
from tpuline.components.preprocess.splits import content, content_key, key_ranges

SENTENCE = "the quick brown fox jumps over a lazy dog and runs far away into the dark old woods"


class Line(NamedTuple):
    split: str
    text: str
    label: str = "x"


def fingerprints(
    folder: Path | str, lines: Iterable[tuple[Line, str, int]], config: DuplicatesConfig
) -> tuple[FingerprintFile, ...]:
    writer = FingerprintWriter(str(folder), config)
    lines = list(lines)
    for start in range(0, len(lines), 256):
        batch = lines[start : start + 256]
        texts = [content(line.text, None) for line, _, _ in batch]
        writer.add(
            splits=[line.split for line, _, _ in batch],
            keys=[content_key(text) for text in texts],
            texts=texts,
            files=[file for _, file, _ in batch],
            rows=[row for _, _, row in batch],
            labels=[line.label for line, _, _ in batch],
        )
    return writer.close()


def numbered(lines: Iterable[Line]) -> list[tuple[Line, str, int]]:
    return [(line, f"{line.split}.csv", row) for row, line in enumerate(lines, start=1)]


def search(
    folder: Path, files: tuple[FingerprintFile, ...], config: DuplicatesConfig
) -> Duplicates:
    found = [find(task, str(folder)) for task in tasks(files, config)]
    return resolve(found[::-1], config, str(folder))


def duplicates(folder: Path, lines: Iterable[Line], **settings: Any) -> Duplicates:
    config = DuplicatesConfig(**settings)
    return search(folder, fingerprints(folder, numbered(lines), config), config)


def dropped(found: Duplicates, texts: Iterable[str]) -> dict[str, tuple[str, str, int]]:
    if not found.dropped_file:
        return {}
    (everything,) = key_ranges(1)
    drops = Dropped.load(found.dropped_file, everything)
    reasons = {text: drops.reason(content_key(content(text, None))) for text in texts}
    return {text: reason for text, reason in reasons.items() if reason is not None}


def within(found: Duplicates, split: str = "train") -> Within:
    (part,) = (part for part in found.within if part.split == split)
    return part


def across(found: Duplicates, first: str = "train", second: str = "test") -> Across:
    (part,) = (part for part in found.across if (part.first, part.second) == (first, second))
    return part


def variant(number: int) -> str:
    """All but the last word are the same."""
    return f"{SENTENCE} {SENTENCE[::-1]} number{number}"


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
    assert found.num_dropped_keys == 3
    assert across(found, "validation").exact_contents == 2  # reported, never dropped
    assert across(found).near_contents == 1
    assert SENTENCE not in dropped(duplicates(tmp_path, lines, near="off"), texts)
    assert duplicates(tmp_path, lines, across="report").dropped_file == ""


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


def perturbed(num: int, seed: int) -> list[str]:
    """Pairs of texts that differ in none to half of their words."""
    drawn = random.Random(seed)
    texts = []
    for _ in range(num):
        words = [f"w{drawn.randrange(2000)}" for _ in range(drawn.randrange(20, 120))]
        texts.append(" ".join(words))
        for _ in range(drawn.randrange(0, 1 + len(words) // 12)):
            words[drawn.randrange(len(words))] = f"v{drawn.randrange(2000)}"
        texts.append(" ".join(words))
    return texts


def jaccard(one: str, other: str) -> float:
    sets = []
    for text in (one, other):
        words = text.split()
        sets.append(set(zip(words, words[1:], words[2:], strict=False)))
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_near_rows_are_those_of_brute_force(tmp_path: Path, seed: int) -> None:
    texts = perturbed(400, seed)
    pairs = list(zip(texts[::2], texts[1::2], strict=True))
    # One of each pair in train, the other in test: whatever goes is near to its partner.
    lines = [line for one, other in pairs for line in (Line("train", one), Line("test", other))]
    found = duplicates(tmp_path, lines, near="report")
    gone = {text for text, (reason, *_) in dropped(found, texts[::2]).items()}
    true = {one: jaccard(one, other) for one, other in pairs}
    similar = {one for one, similarity in true.items() if similarity >= 0.9}
    assert len(similar) > 50
    assert len(similar & gone) >= 0.95 * len(similar)
    assert not [one for one in gone if true[one] < 0.6]


def mixed_lines(seed: int) -> list[tuple[Line, str, int]]:
    drawn = random.Random(seed)
    texts = perturbed(60, seed) + [variant(number) for number in range(30)] + [SENTENCE, "short"]
    lines = [
        Line(drawn.choice(["train", "train", "validation", "test"]), drawn.choice(texts), label)
        for label in "xy" * 150
    ]
    return [(line, f"{row % 3}.csv", row) for row, line in enumerate(lines)]


def test_result_does_not_depend_on_how_rows_lie_in_files_and_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = DuplicatesConfig(near="drop")
    lines = mixed_lines(1)
    texts = {line.text for line, _, _ in lines}

    def result(parts: Iterable[list[tuple[Line, str, int]]]) -> Any:
        files = tuple(file for part in parts for file in fingerprints(tmp_path, part, config))
        found = search(tmp_path, files, config)
        return asdict(found) | {"dropped_file": "", "dropped": dropped(found, texts)}

    expected = result([lines])
    assert expected["dropped"] and expected["within"][0]["exact_rows"]
    assert {reason for reason, *_ in expected["dropped"].values()} > {"in_test", "near_duplicate"}
    for size in (7, 100):
        shuffled = lines.copy()
        random.Random(size).shuffle(shuffled)
        parts = [shuffled[start : start + size] for start in range(0, len(lines), size)]
        assert result(parts) == expected
    monkeypatch.setattr(duplicate_search, "TASK_ROWS", 100)  # several ranges, rows thrown out early
    assert result([lines[::2], lines[1::2]]) == expected


def test_pairs_thinned_on_the_way_give_the_same_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = DuplicatesConfig(near="drop")
    lines = mixed_lines(5)
    texts = {line.text for line, _, _ in lines}
    files = fingerprints(tmp_path, lines, config)
    expected = search(tmp_path, files, config)
    monkeypatch.setattr(duplicate_decision, "MANY_PAIRS", 10)
    found = search(tmp_path, files, config)
    assert dropped(found, texts) == dropped(expected, texts)
    for one, other in zip(found.within, expected.within, strict=True):
        assert one.near_contents == other.near_contents
    for one, other in zip(found.across, expected.across, strict=True):
        assert (one.near_contents, one.exact_contents) == (
            other.near_contents,
            other.exact_contents,
        )


def test_boilerplate_is_linear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One text 2,000 times, and 2,000 that differ in their last word: all in the same buckets."""
    compared = Counter[str]()

    def counted(rows: Any) -> Iterator[Any]:
        for one, other in buckets.candidates(rows):
            compared["pairs"] += len(one)
            yield one, other

    monkeypatch.setattr(duplicate_search, "candidates", counted)
    monkeypatch.setattr(duplicate_search, "TASK_ROWS", 1500)
    same = [Line("train", SENTENCE)] * 2000
    alike = [Line("train", f"{SENTENCE * 20} {number}") for number in range(2000)]
    lines = [*same, *alike, Line("test", f"{SENTENCE * 20} test")]
    found = duplicates(tmp_path, lines, near="drop")
    num_bands = 16
    assert compared["pairs"] < num_bands * 2001 * (buckets.SMALL_BUCKET - 1)
    assert within(found).exact_rows == 1999
    assert within(found).near_contents == 1999
    assert across(found).near_contents == 2000
    assert found.num_dropped_keys == 2000
    only_train = duplicates(tmp_path, lines[:-1], near="drop")
    assert only_train.num_dropped_keys == 1999


def test_facts_survive_json(tmp_path: Path) -> None:
    lines = [Line("train", SENTENCE), Line("train", SENTENCE, "y"), Line("test", SENTENCE + " now")]
    found = duplicates(tmp_path, lines, similarity=0.7)
    assert across(found).near_examples
    assert Duplicates.from_json(json.loads(json.dumps(asdict(found)))) == found


def test_everything_works_in_an_object_store(tmp_path: Path, gcs_emulator: str) -> None:
    lines = numbered([Line("train", SENTENCE), Line("train", "one"), Line("test", SENTENCE + " z")])
    config = DuplicatesConfig(similarity=0.7)
    remote, local = (
        search(folder, fingerprints(folder, lines, config), config)
        for folder in (gcs_emulator, tmp_path)
    )
    assert remote.dropped_file.startswith("gs://")
    assert dropped(remote, [SENTENCE]) == {SENTENCE: ("near_test", "test.csv", 3)}
    assert asdict(remote) | {"dropped_file": ""} == asdict(local) | {"dropped_file": ""}


def imdb(folder: Path, split: str) -> list[str]:
    with gzip.open(folder / f"{split}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def test_imdb_has_the_repeats_that_it_is_known_for(
    tmp_path: Path, real_data: Callable[[str], Path]
) -> None:
    """Case and compatibility forms make no more texts equal than raw bytes do.

    All pairs compared by their sets of 3-grams: 21 are near inside train, 16 inside test, and one
    between them, which is just at 0.8 and estimated below.
    """
    folder = real_data("imdb")
    lines = [Line(split, text) for split in ("train", "test") for text in imdb(folder, split)]
    found = duplicates(tmp_path, lines, near="report")
    assert across(found).exact_contents == found.num_dropped_keys == 123
    assert (within(found).exact_rows, within(found, "test").exact_rows) == (96, 199)
    assert 17 <= (within(found).near_contents or 0) <= 22
    assert 14 <= (within(found, "test").near_contents or 0) <= 18
    assert (across(found).near_contents or 0) <= 1
