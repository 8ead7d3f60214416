"""Personal data in texts -> typed tokens, before anything is written. Pure."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from .privacy_patterns import (
    KINDS,
    NATIONAL_IDS,
    Detector,
    detectors,
    has_digit,
    has_number,
    replace,
    token,
)

MAX_PASSES = 8
"""A find may uncover another beside it. Two passes are the rule; this bounds the time."""

_HASH_KEY = b"tpuline.preprocess.rejects"


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """What is replaced by tokens such as `[EMAIL]` in everything that preprocess writes of a row:
    texts, labels, details of rejects. Names of files stay.

    Own patterns are RE2 expressions, which cannot backtrack: no look-around, no references back,
    `\\w`, `\\d` and `\\b` know ASCII only. They go last and see what stands between the tokens.
    """

    redact: tuple[str, ...] = ()  # kinds
    national_ids: tuple[str, ...] = ()  # countries, for the kind national_id
    patterns: dict[str, str] = field(default_factory=dict)  # own kinds: name -> expression
    rejects: Literal["full", "hash"] = "full"  # hash: file, row, reason and a hash of the rest

    def __post_init__(self) -> None:
        _check_known("redact", self.redact, KINDS)
        _check_known("national_ids", self.national_ids, NATIONAL_IDS)
        if ("national_id" in self.redact) != bool(self.national_ids):
            raise ValueError(
                "national_ids: must name countries when redact holds national_id, and only then; "
                f"received {list(self.national_ids)} with redact {list(self.redact)}; known "
                f"countries: {', '.join(NATIONAL_IDS)}"
            )
        for name, pattern in self.patterns.items():
            if not re.fullmatch("[a-z][a-z0-9_]*", name) or name in KINDS:
                raise ValueError(
                    "patterns: a name must be small letters, digits and _, and not one of "
                    f"{', '.join(KINDS)}; received {name!r}; call the pattern otherwise"
                )
            _check_pattern(name, pattern)


class Redactor:
    """Replaces personal data and counts what it replaced."""

    def __init__(self, privacy: Privacy) -> None:
        found = detectors(privacy.redact, privacy.national_ids)
        self.active = bool(found or privacy.patterns)
        self.counts: Counter[str] = Counter()  # finds by kind, since the start
        self._numbers = tuple(each for each in found if each.needs == "number")
        self._marked = tuple(each for each in found if each.needs != "number")
        self._own = tuple(privacy.patterns.items())
        tokens = "|".join(re.escape(token(kind)) for kind in (*KINDS, *privacy.patterns))
        # What own patterns must not see: tokens, and what Arrow does not take for text.
        self._walls = re.compile(rf"({tokens}|[\ud800-\udfff]+)")

    def redact(self, text: str) -> str:
        """`text` with tokens in place of what was found; any string will do.

        Another call changes nothing more, unless an own pattern asks for an edge by ^, $ or \\b:
        every token makes new ones.
        """
        marked = ":" in text or "@" in text or "=" in text
        if not (marked or self._own or has_digit(text)):
            return text  # most texts, in less than a microsecond
        for _ in range(MAX_PASSES):
            before = text
            text = self._kinds(text)
            for name, pattern in self._own:
                text = self._replace_own(text, name, pattern)
            if text is before:
                break
        return text

    def _kinds(self, text: str) -> str:
        for detector in self._marked:
            if detector.needs in text:
                text = self._replace(text, detector)
        if self._numbers and has_number(text):
            for detector in self._numbers:
                text = self._replace(text, detector)
        return text

    def _replace(self, text: str, detector: Detector) -> str:
        text, num_finds = replace(text, detector)
        if num_finds:
            self.counts[detector.kind] += num_finds
        return text

    def _replace_own(self, text: str, name: str, pattern: str) -> str:
        """About 100 microseconds for a text of 1,400 characters, most of it inside Arrow."""
        import pyarrow as pa
        import pyarrow.compute as pc

        walls = "[" in text or not text.isascii()
        parts = self._walls.split(text) if walls else [text]  # stretches at the even places
        stretches = pa.array(parts[::2])
        if not any(pc.match_substring_regex(stretches, pattern).to_pylist()):
            return text
        mark = token(name)
        parts[::2] = pc.replace_substring_regex(stretches, pattern, mark).to_pylist()
        self.counts[name] += sum(stretch.count(mark) for stretch in parts[::2])
        return "".join(parts)


def hashed(text: str) -> str:
    """16 hex digits in place of a text: equal texts stay equal.

    A pseudonym, not anonymous: the key is public, so that whoever guesses the text can tell.
    """
    data = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=8, key=_HASH_KEY).hexdigest()


def _check_known(name: str, given: Iterable[str], known: tuple[str, ...]) -> None:
    for value in given:
        if value not in known:
            near = difflib.get_close_matches(value, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(
                f"{name}: must hold only {', '.join(known)}; received {value!r}; "
                f"{hint or 'leave it out'}"
            )


def _check_pattern(name: str, pattern: str) -> None:
    """`ValueError` for what RE2 does not take, and for what matches where nothing stands."""
    import pyarrow as pa
    import pyarrow.compute as pc

    blame = f"patterns.{name}: must be"
    try:
        pc.match_substring_regex("", pattern)
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"{blame} an RE2 expression; received {pattern!r}: {error}; look-around and references "
            "back are not known there, see github.com/google/re2/wiki/Syntax"
        ) from error
    # Assertions see no further than the characters beside them, so that these places are all.
    edges = ("", "a", "-", "\n")
    for before, after in ((before, after) for before in edges for after in edges):
        if pc.match_substring_regex(before + after, rf"\A{before}(?:{pattern}){after}\z").as_py():
            raise ValueError(
                f"{blame} an expression that matches no empty text; received {pattern!r}; ask for "
                "at least one character, such as by + in place of *"
            )
