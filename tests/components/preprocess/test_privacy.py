"""The privacy section and the redactor."""

import csv
import gzip
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpuline.components.preprocess.privacy import Privacy, Redactor, hashed
from tpuline.components.preprocess.privacy_patterns import KINDS, NATIONAL_IDS

EVERYTHING = Privacy(
    redact=KINDS, national_ids=NATIONAL_IDS, patterns={"employee": r"\bEMP-?[0-9]{4,}\b"}
)

PIECES = (
    "0|1|7|12|030|2025|555|4000|00123456|7899|DE43|GB42|1234|X|QQQXXX85T10A56|T|H|EMP-|+|+49|(|)"
    "|/|.|-|:|::|,|@|://|https://|=|?|&|token=|jo|jo@example.org|[|]|[EMAIL]|[PHONE]| |call |é|７"
    "|[URL_CREDENTIALS]|[EMPLOYEE]|٣|\ud800|\n|\u00a0"
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES.split("|")), max_size=40).map("".join))
def test_second_call_changes_nothing_and_counts_nothing(text: str) -> None:
    redactor = Redactor(EVERYTHING)
    once = redactor.redact(text)
    counts = redactor.counts.copy()
    assert redactor.redact(once) == once
    assert redactor.counts == counts


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=())))
def test_any_string_comes_through(text: str) -> None:
    redactor = Redactor(EVERYTHING)
    made = redactor.redact(text)
    assert made == text or redactor.counts.total() > 0
    assert len(hashed(text)) == 16


@pytest.mark.parametrize(
    "part",
    [
        "1", "@", "a@", "a.", ":", "1:", "1.", "1 ", "(0", "+1 ", "://", "?token", "?a=", "x@x.",
        "DE89 ", "AAAAAA85", "4111 ", "call 12 34567 ", "http://u:p@h ", "EMP1", "１", "\ud800",
    ],
)  # fmt: skip
def test_time_is_linear_whatever_stands_there(part: str) -> None:
    # Seconds when linear; a scan per character would take hours.
    started = time.process_time()
    Redactor(EVERYTHING).redact(part * (100_000 // len(part)))
    assert time.process_time() - started < 20


@pytest.mark.slow
@pytest.mark.parametrize("part", ["1", "@", ":", "a@", "1.", "a"])
def test_ten_megabytes_of_one_thing_take_less_than_two_minutes(part: str) -> None:
    started = time.process_time()
    Redactor(EVERYTHING).redact(part * (10_000_000 // len(part)))
    assert time.process_time() - started < 120


def test_finds_are_counted_by_kind_over_all_texts() -> None:
    redactor = Redactor(EVERYTHING)
    assert redactor.redact("jo@example.org, al@example.org, EMP-1234") == (
        "[EMAIL], [EMAIL], [EMPLOYEE]"
    )
    redactor.redact("al@example.org [EMAIL]")
    assert redactor.counts == {"email": 3, "employee": 1}


def test_own_pattern_goes_last_and_leaves_tokens_alone() -> None:
    redactor = Redactor(Privacy(redact=("email",), patterns={"word": "[A-Za-z]+"}))
    assert redactor.redact("\udc80hi jo@example.org") == "\udc80[WORD] [EMAIL]"
    assert redactor.redact("[WORD] [EMAIL] [OTHER]") == "[WORD] [EMAIL] [[WORD]]"


def test_nothing_configured_is_inactive_and_changes_nothing() -> None:
    redactor = Redactor(Privacy())
    assert not redactor.active
    assert redactor.redact("jo@example.org") == "jo@example.org"
    assert Redactor(EVERYTHING).active
    assert Redactor(Privacy(patterns={"x": "x"})).active


def test_section_and_redactor_can_be_sent_to_a_worker() -> None:
    redactor = pickle.loads(pickle.dumps(Redactor(pickle.loads(pickle.dumps(EVERYTHING)))))
    assert redactor.redact("jo@example.org EMP1234 4000001234567899") == "[EMAIL] [EMPLOYEE] [CARD]"


def test_hash_tells_texts_apart_and_is_the_same_everywhere() -> None:
    assert hashed("a text") == hashed("a text") != hashed("another")
    assert hashed("a text") == "2db5b3ad29bb94d2"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"redact": ("emial",)}, "redact: .*received 'emial'; did you mean 'email'"),
        ({"redact": ("national_id",)}, "national_ids: must name countries"),
        ({"national_ids": ("de",)}, "national_ids: must name countries"),
        ({"redact": ("national_id",), "national_ids": ("xx",)}, "national_ids: .*received 'xx'"),
        ({"patterns": {"Email": "x"}}, "patterns: a name must .*received 'Email'"),
        ({"patterns": {"email": "x"}}, "patterns: a name must .*received 'email'"),
        ({"patterns": {"order": "(x"}}, "patterns.order: must be an RE2 expression"),
        ({"patterns": {"order": "x(?=y)"}}, "patterns.order: must be an RE2 expression"),
        ({"patterns": {"order": r"(x)\1"}}, "patterns.order: must be an RE2 expression"),
        ({"patterns": {"order": "x*"}}, "patterns.order: .*matches no empty text"),
        ({"patterns": {"order": r"x|\b"}}, "patterns.order: .*matches no empty text"),
        ({"patterns": {"order": r"x|\B"}}, "patterns.order: .*matches no empty text"),
        ({"patterns": {"order": "x|(?m:^)"}}, "patterns.order: .*matches no empty text"),
    ],
)
def test_wrong_section_is_refused_with_a_next_step(section: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Privacy(**section)


@pytest.mark.slow
def test_real_reviews_hold_addresses_and_hardly_anything_else(
    real_data: Callable[[str], Path],
) -> None:
    redactor = Redactor(EVERYTHING)
    csv.field_size_limit(10_000_000)
    for name in ("train", "test"):
        path = real_data("imdb") / f"{name}.csv.gz"
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                redactor.redact(row["text"])
    assert redactor.counts == {"email": 53, "phone": 2}
