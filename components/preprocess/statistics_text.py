"""Cleaned texts -> scripts of their letters, and their languages. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

LANGUAGE_CHARACTERS = 500  # of a text, its beginning: enough to tell
MIN_LANGUAGE_CHARACTERS = 20  # shorter texts are not asked: the answer would be a guess
_ASCII = 128


class ScriptCounter:
    """Letters by Unicode script; a histogram of code points until it is asked."""

    def __init__(self) -> None:
        self._ascii = np.zeros(_ASCII, np.int64)
        self._others: Counter[int] = Counter()

    def add(self, texts: Sequence[str]) -> None:
        """Every character of the texts."""
        joined = "".join(texts)
        if joined.isascii():
            codes = np.frombuffer(joined.encode("ascii"), np.uint8)
            self._ascii += np.bincount(codes, minlength=_ASCII)
            return
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        plain = codes < _ASCII
        self._ascii += np.bincount(codes[plain], minlength=_ASCII)
        others, counts = np.unique(codes[~plain], return_counts=True)
        self._others.update(dict(zip(others.tolist(), counts.tolist(), strict=True)))

    def counts(self) -> Counter[str]:
        """Letters by the name of their script: "Latin", "Han". Marks and digits are no letters."""
        found: Counter[str] = Counter()
        for code, count in [*enumerate(self._ascii.tolist()), *self._others.items()]:
            if count and chr(code).isalpha():
                found[_script(code)] += count
        return found


@cache
def _script(code: int) -> str:
    from fontTools import unicodedata

    short = unicodedata.script(chr(code))
    return "none" if short in ("Zyyy", "Zinh", "Zzzz") else unicodedata.script_name(short)


def languages(texts: Iterable[str]) -> Counter[str]:
    """Texts by language, ISO 639-1, as py3langid guesses it; 0.4 ms each."""
    found: Counter[str] = Counter()
    for text in texts:
        if len(text) >= MIN_LANGUAGE_CHARACTERS:
            found[_classify(text[:LANGUAGE_CHARACTERS])] += 1
    return found


def _classify(text: str) -> str:
    import py3langid

    answer: tuple[Any, ...] = py3langid.classify(text)
    return str(answer[0])
