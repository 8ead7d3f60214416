"""Harmless changes to a text that should not change its label. Pure.

Each takes a text and a source of chance and gives a text; the same seed gives the same texts. Kinds
as in Ribeiro et al. 2020, "Beyond Accuracy" (https://arxiv.org/abs/2005.04118), sections on
robustness, and what mobile keyboards and web forms do to text.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable

Perturbation = Callable[[str, random.Random], str]

_WORD = re.compile(r"[^\W\d_]{4,}")
_TYPOS_A_TEXT = 2
_EMOJI = ("🙂", "🙏", "👍", "✨", "😅")
_EMBEDDED, _POP = "\u202b", "\u202c"  # RIGHT-TO-LEFT EMBEDDING and its end


def typos(text: str, chance: random.Random) -> str:
    """Two neighbouring letters change places, or one is lost, inside of up to two long words."""
    words = list(_WORD.finditer(text))
    for found in sorted(
        chance.sample(words, min(_TYPOS_A_TEXT, len(words))), key=lambda w: -w.start()
    ):
        place = chance.randrange(found.start() + 1, found.end() - 2)
        pair = text[place : place + 2]
        text = text[:place] + (pair[::-1] if chance.random() < 0.5 else pair[1]) + text[place + 2 :]
    return text


def upper_case(text: str, chance: random.Random) -> str:
    """As typed with the wrong key pressed."""
    return text.upper()


def lower_case(text: str, chance: random.Random) -> str:
    """As typed in haste."""
    return text.lower()


def no_punctuation(text: str, chance: random.Random) -> str:
    """Without ASCII punctuation; words do not run together."""
    return " ".join(text.translate({ord(mark): " " for mark in string.punctuation}).split())


def more_punctuation(text: str, chance: random.Random) -> str:
    """Emphatic, or broken off."""
    return text.rstrip() + chance.choice(("!!!", "...", " ?!", " !"))


def emoji(text: str, chance: random.Random) -> str:
    """One that says little, at the end."""
    return f"{text} {chance.choice(_EMOJI)}"


def spaces(text: str, chance: random.Random) -> str:
    """White space of other kinds, as copied from a page."""
    return "\u00a0".join(text.split(" ")) + " \n"


def right_to_left(text: str, chance: random.Random) -> str:
    """Wrapped in the marks of a right-to-left page, which nobody sees."""
    return f"{_EMBEDDED}{text}{_POP}"


PERTURBATIONS: dict[str, Perturbation] = {
    "typos": typos,
    "upper_case": upper_case,
    "lower_case": lower_case,
    "no_punctuation": no_punctuation,
    "more_punctuation": more_punctuation,
    "emoji": emoji,
    "spaces": spaces,
    "right_to_left": right_to_left,
}


def perturbed(kind: str, texts: list[str], *, seed: int) -> list[str]:
    """Every text changed in one way; the n-th of a list is changed alike whatever else is in it."""
    change = PERTURBATIONS[kind]
    return [change(text, random.Random(f"{seed}/{kind}/{n}")) for n, text in enumerate(texts)]
