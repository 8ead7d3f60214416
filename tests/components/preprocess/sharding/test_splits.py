"""Keys, cuts and ranges: where a row goes."""

from collections import Counter
from itertools import pairwise

import pytest

from tpuline.components.preprocess.sharding.splits import (
    KeyRange,
    content,
    content_key,
    cut_split,
    key_ranges,
    num_ranges,
    range_of,
)

KEYS = [content_key(f"text {i}") for i in range(20_000)]
CUT = {"validation": 0.1, "test": 0.25}


def test_keys_are_pinned() -> None:
    """Another key moves rows to other splits: models trained before would be judged on train."""
    assert content_key(content("hello", None)).hex() == "c238a79a2a1c50bc579ec78c141165f5"
    assert content_key(content("hello", "world")).hex() == "64996e5e92bdb4e3f2f0937d93470b3d"
    assert [cut_split(key, CUT) for key in KEYS[:8]] == [
        "train",
        "train",
        "test",
        "test",
        "train",
        "train",
        "train",
        "train",
    ]


def test_a_pair_is_not_its_texts_run_together() -> None:
    assert len({content("a", "b c"), content("a b", "c"), content("a b c", None)}) == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [("Great!", "great!"), ("STRASSE", "straße"), ("ﬁne", "fine"), ("Ａ１", "a1")],
)
def test_case_and_compatibility_forms_do_not_tell_rows_apart(one: str, other: str) -> None:
    assert content(one, None) == content(other, None)
    assert content("x", one) == content("x", other)


@pytest.mark.parametrize(
    ("one", "other"), [("good!", "good?"), ("ok 😀", "ok 😡"), ("resume", "résumé")]
)
def test_punctuation_emoji_and_accents_tell_rows_apart(one: str, other: str) -> None:
    assert content(one, None) != content(other, None)


def test_cut_gives_each_split_its_share() -> None:
    counts = Counter(cut_split(key, CUT) for key in KEYS)
    assert counts["validation"] == pytest.approx(2_000, abs=150)
    assert counts["test"] == pytest.approx(5_000, abs=250)
    assert counts["train"] + counts["validation"] + counts["test"] == len(KEYS)


def test_nothing_is_cut_without_shares() -> None:
    assert {cut_split(key, {}) for key in KEYS[:100]} == {"train"}


def test_a_cut_split_is_spread_over_the_order_of_keys() -> None:
    cut = sorted(key for key in KEYS if cut_split(key, CUT) == "validation")
    lower_half = sum(key < KeyRange(index=1, count=2).first for key in cut)
    assert lower_half == pytest.approx(len(cut) / 2, rel=0.1)


@pytest.mark.parametrize("count", [1, 2, 64, 4096])
def test_ranges_cover_all_keys_once_and_in_order(count: int) -> None:
    ranges = key_ranges(count)
    assert ranges[0].first == bytes(16) and ranges[-1].last == b"\xff" * 16
    for before, after in pairwise(ranges):
        assert int.from_bytes(before.last) + 1 == int.from_bytes(after.first)
    for key in KEYS[:200]:
        found = ranges[range_of(key, count)]
        assert found.first <= key <= found.last


def test_overlaps_are_those_of_the_keys_inside() -> None:
    ranges = [keys for count in (1, 2, 4, 8) for keys in key_ranges(count)]
    for one in ranges:
        for other in ranges:
            shared = max(one.first, other.first) <= min(one.last, other.last)
            assert one.overlaps(other) == shared


@pytest.mark.parametrize(
    ("num_bytes", "expected"), [(0, 1), (1, 1), (10, 1), (11, 2), (21, 4), (41, 8), (10**9, 8)]
)
def test_number_of_ranges_is_a_bounded_power_of_two(num_bytes: int, expected: int) -> None:
    assert num_ranges(num_bytes, target_bytes=10, most=8) == expected
