"""Texts on which every way to token ids must agree: real ones, and drawn from all of Unicode."""

from __future__ import annotations

import csv
import gzip
import json
import random
import sys
import unicodedata
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

MAX_WORD_BYTES = 100
"""Longer words are unknown to BERT."""

csv.field_size_limit(sys.maxsize)


def real_texts(folder: Path) -> Iterator[str]:
    """Every text of one data set, file after file; of a pair, both."""
    for file in sorted(path for path in folder.iterdir() if "README" not in path.name.upper()):
        reader = _READERS.get(file.name.removesuffix(".gz").rpartition(".")[2])
        if reader is not None:
            with (gzip.open if file.suffix == ".gz" else open)(file, "rt", **_READING) as opened:
                yield from reader(opened)


def sampled(texts: Iterator[str], count: int | None) -> list[str]:
    """`count` of them, evenly spread; all where there are fewer, or for None."""
    everything = list(texts)
    if count is None:
        return everything
    step = max(1, len(everything) // count)
    return list(islice(everything[::step], count))


_READING = {"encoding": "utf-8-sig", "newline": "", "errors": "replace"}


def _cells(rows: Iterator[list[str]]) -> Iterator[str]:
    """Cells with a word: labels, ids and numbers are texts too, but short ones."""
    for row in rows:
        yield from (cell for cell in row if " " in cell or not cell.isascii())


def _json_texts(lines: TextIO) -> Iterator[str]:
    for line in lines:
        yield json.loads(line)["text"]


_READERS: dict[str, Callable[[TextIO], Iterator[str]]] = {
    "csv": lambda file: _cells(csv.reader(file)),
    "tsv": lambda file: _cells(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)),
    "jsonl": _json_texts,
    "txt": lambda file: (line for line in file if line.strip()),
    "tokens": lambda file: (line for line in file if line.strip()),
}


def random_texts(count: int, *, seed: int) -> list[str]:
    """Strings of characters from all planes, with what is rare in texts made common."""
    drawn = random.Random(seed)
    marks = [chr(code) for code in range(0x250, 0x20000) if unicodedata.category(chr(code)) == "Mn"]
    pools: tuple[Callable[[], str], ...] = (
        lambda: chr(drawn.randrange(0x110000)),
        lambda: chr(drawn.randrange(0x3000)),
        lambda: chr(drawn.randrange(0x10000)),
        lambda: chr(drawn.randrange(0x1F000, 0x1FB00)),
        lambda: chr(drawn.randrange(0x4E00, 0xA000)),
        lambda: drawn.choice(marks),
        lambda: chr(drawn.choice([*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x200B, 0x200D, 0xFEFF])),
        lambda: drawn.choice("abcdefghij ABCDEF ÀÉîõüßİıŉǅ 0123456789 .,;:!?'\"()[]{}<>&#@/"),
        lambda: drawn.choice(
            ["<br />", "</b>", "[SEP]", "[CLS]", "##a", "ﬁ", "\u0338", " ", "the "]
        ),
    )
    texts = []
    for _ in range(count):
        some = drawn.sample(pools, drawn.randint(1, len(pools)))
        text = "".join(drawn.choice(some)() for _ in range(drawn.randint(1, 60)))
        texts.append("".join(c for c in text if not "\ud800" <= c <= "\udfff"))
    return texts


def is_known(character: str) -> bool:
    """Whether it is assigned, seen, and has been of one category ever since Unicode 3.2.

    The `tokenizers` library has tables of about Unicode 8, TensorFlow's are newer, and so are
    Python's: none of them can disagree on these.
    """
    category = unicodedata.category(character)
    return category[0] != "C" and category == unicodedata.ucd_3_2_0.category(character)


def well_formed(text: str) -> str:
    """The known characters of a text, but for capital sigma (see `reason`)."""
    return "".join(c for c in text if is_known(c) and c != CAPITAL_SIGMA)


CAPITAL_SIGMA = "\u03a3"


def reason(text: str, *, disputed: frozenset[str]) -> str | None:
    """Why the `tokenizers` library may see a cleaned text in another way; None: it must not."""
    if any(f"[{name}]" in text for name in ("PAD", "UNK", "CLS", "SEP", "MASK")):
        return "special token written out: text to us, a special token to the library"
    if CAPITAL_SIGMA in text:
        return "capital sigma: at the end of a word another letter, which the library ignores"
    if any(len(word.encode()) > MAX_WORD_BYTES for word in text.split()):
        return "long word: unknown from 101 bytes on, in the library from 101 characters on"
    if disputed.intersection(text):
        return "character that is newer than the tables of the library"
    return None
