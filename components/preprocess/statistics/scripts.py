"""Cleaned texts -> scripts of their letters, and their languages. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np

from ...languages import language

LANGUAGE_CHARACTERS = 300  # of a text, its beginning: enough to tell
MIN_LANGUAGE_CHARACTERS = 20  # shorter texts are not asked: the answer would be a guess
_ASCII = 128
_SMALL, _A, _NUM_LETTERS = np.uint8(0x20), np.uint8(ord("a")), np.uint8(26)


class ScriptCounter:
    """Letters by Unicode script; those beyond ASCII by code point until it is asked."""

    def __init__(self) -> None:
        self._latin = 0  # the letters of ASCII
        self._others: Counter[int] = Counter()

    def add(self, texts: Sequence[str]) -> None:
        """Every character of the texts."""
        utf8 = np.frombuffer("".join(texts).encode("utf-8", "surrogatepass"), np.uint8)
        # Small or capital, and what lies before "a" wraps around: one pass without a branch.
        self._latin += int(np.count_nonzero((utf8 | _SMALL) - _A < _NUM_LETTERS))
        # Of UTF-8, the bytes that are no ASCII spell the characters that are none.
        others = utf8[utf8 >= _ASCII].tobytes()
        if others:
            self._others.update(map(ord, others.decode("utf-8", "surrogatepass")))

    def counts(self) -> Counter[str]:
        """Letters by the name of their script: "Latin", "Han". Marks and digits are no letters."""
        found = Counter({_script(ord("a")): self._latin} if self._latin else {})
        for code, count in self._others.items():
            if chr(code).isalpha():
                found[_script(code)] += count
        return found


@cache
def _script(code: int) -> str:
    from fontTools import unicodedata

    short = unicodedata.script(chr(code))
    return "none" if short in ("Zyyy", "Zinh", "Zzzz") else unicodedata.script_name(short)


def languages(texts: Iterable[str]) -> Counter[str]:
    """Texts by language, ISO 639-1; those of short texts are not guessed."""
    found: Counter[str] = Counter()
    for text in texts:
        if len(text) >= MIN_LANGUAGE_CHARACTERS:
            found[language(text[:LANGUAGE_CHARACTERS])] += 1
    return found
