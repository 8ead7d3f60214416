"""What hasty writers do to a message: typos, case, punctuation, abbreviations, odd white space.

Each function takes a text and a generator and gives the text that arrives.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

ABBREVIATIONS = {
    "please": "pls",
    "you": "u",
    "your": "ur",
    "because": "bc",
    "thanks": "thx",
    "today": "2day",
    "account": "acct",
    "number": "nr",
}
CONTRACTIONS = {
    "don't": "do not",
    "can't": "cannot",
    "I'm": "I am",
    "I'd": "I would",
    "won't": "will not",
    "hasn't": "has not",
    "didn't": "did not",
}
EMOJI = ("🙂", "😕", "🙏", "😅", "📦", "😡", "👍", ":)", ":(")
_KEY_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def add_noise(text: str, rng: random.Random) -> str:
    """The message as it is typed. Most arrive with one or two changes, some with none."""
    for share, change in _CHANGES:
        if rng.random() < share:
            text = change(text, rng)
    return text


def make_typo(text: str, rng: random.Random) -> str:
    """One slip inside one word of four letters or more: swap, drop, double or a neighbour key."""
    words = [match.span() for match in re.finditer(r"[A-Za-z]{4,}", text)]
    if not words:
        return text
    start, end = rng.choice(words)
    at = rng.randrange(start + 1, end - 1)
    kind = rng.choice(("swap", "drop", "double", "neighbour"))
    if kind == "swap":
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    letters = {"drop": "", "double": text[at] * 2, "neighbour": _neighbour(text[at], rng)}
    return text[:at] + letters[kind] + text[at + 1 :]


def _neighbour(letter: str, rng: random.Random) -> str:
    row = next(row for row in _KEY_ROWS if letter.lower() in row)
    at = row.index(letter.lower())
    return rng.choice(row[max(at - 1, 0) : at] + row[at + 1 : at + 2])


def _abbreviate(text: str, rng: random.Random) -> str:
    words = [word for word in ABBREVIATIONS if re.search(rf"\b{word}\b", text)]
    if not words:
        return text
    word = rng.choice(words)
    return re.sub(rf"\b{word}\b", ABBREVIATIONS[word], text, count=1)


def _spell_out(text: str, rng: random.Random) -> str:
    for short, long in CONTRACTIONS.items():
        text = text.replace(short, long)
    return text


def _drop_end(text: str, rng: random.Random) -> str:
    return text.rstrip(".!?")


def _add_emoji(text: str, rng: random.Random) -> str:
    return f"{text} {rng.choice(EMOJI)}"


def _break_line(text: str, rng: random.Random) -> str:
    return text.replace(". ", rng.choice((".<br />", ".<br><br>", ".\n", ".\r\n\r\n")), 1)


def _pad(text: str, rng: random.Random) -> str:
    at = rng.choice([at for at, letter in enumerate(text) if letter == " "] or [0])
    return rng.choice(("  ", "\t", "\u00a0", " \n ")).join((text[:at], text[at:].lstrip(" ")))


# In this order: what looks for words comes before what misspells them.
_CHANGES: tuple[tuple[float, Callable[[str, random.Random], str]], ...] = (
    (0.20, _spell_out),
    (0.10, lambda text, rng: text.replace("'", "’")),
    (0.06, lambda text, rng: text.replace("'", "")),
    (0.10, _abbreviate),
    (0.18, make_typo),
    (0.05, make_typo),
    (0.12, lambda text, rng: text.lower()),
    (0.015, lambda text, rng: text.upper()),
    (0.12, _drop_end),
    (0.05, lambda text, rng: text.replace(",", "")),
    (0.03, lambda text, rng: text.replace("!", "!!").replace("?", "??")),
    (0.05, _add_emoji),
    (0.02, _break_line),
    (0.02, _pad),
)
