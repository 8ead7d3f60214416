"""Texts -> hashed word 3-grams, on arrays of bytes: no object for a word is ever made.

A word is a run of what `\\w` matches; where no spaces part the words, in Chinese and Japanese, each
character counts as one. A hash is a fixed function of the words: the same in every process.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

LONG_WORD_BYTES = 64

_UNSPACED = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
_FOREIGN = re.compile(r"[^\x00-\x7f]+")
_APART = re.compile(rf"({_UNSPACED})|\W+")
_ASCII_WORD = re.compile(r"\w", re.ASCII)
_IN_WORD = bytes(code >= 0x80 or bool(_ASCII_WORD.match(chr(code))) for code in range(256))
_END = b"\n" + b"\0" * 8  # so that 8 bytes can be read from the last one on
_PLACES = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93)  # odd, for the three words
_LENGTH = np.uint64(0x9E3779B97F4A7C15)


class Shingles(NamedTuple):
    """Hashes of the shingles of several texts, one text after the other."""

    hashes: Any  # uint64 (N,); the same shingle may come several times
    edges: Any  # uint64 (B + 1,): where each text begins and ends


def shingles(texts: Sequence[str]) -> Shingles:
    """At least one shingle a text: all its words when there are fewer than three, itself when none.

    Takes about 20 times the memory of the texts while it works.
    """
    words, text_of_word = _words(texts)
    same_text = [text_of_word[ahead:] == text_of_word[:-ahead] for ahead in (1, 2)]
    hashes = words * np.uint64(_PLACES[0])
    for ahead, same, place in zip((1, 2), same_text, _PLACES[1:], strict=True):
        hashes[:-ahead] += words[ahead:] * np.uint64(place) * same
    kept = np.zeros(len(words), bool)
    kept[:-2] = same_text[1]
    kept[:1] = True
    kept[1:] |= ~same_text[0]  # the first word of each text: of short ones it is the only shingle
    counts = np.bincount(text_of_word[kept], minlength=len(texts))
    return _with_wordless(mixed(hashes[kept]), counts, texts)


def mixed(hashes: Any) -> Any:
    """Spreads 64-bit values evenly: the finaliser of MurmurHash3 (Appleby, public domain)."""
    hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return hashes ^ (hashes >> np.uint64(33))


def hash_bytes(content: bytes) -> int:
    """64 bits of BLAKE2b."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


def _words(texts: Sequence[str]) -> tuple[Any, Any]:
    """The hash of each word, uint64, and the index of its text, int64."""
    encoded = [_spaced(text).encode() for text in texts]
    joined = b"\n".join((b"", *encoded)) + _END
    inside = np.frombuffer(joined.translate(_IN_WORD), np.uint8)
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1  # a word's first byte, and the one after
    starts, ends = edges[0::2], edges[1::2]
    text_ends = np.cumsum([len(content) + 1 for content in encoded])
    return _hash_words(joined, starts, ends), np.searchsorted(text_ends, starts)


def _spaced(text: str) -> str:
    """With spaces so placed that words are runs of ASCII letters, digits and _, and all else."""
    if text.isascii():
        return text
    return _FOREIGN.sub(lambda run: _APART.sub(r" \1 ", run[0]), text)


def _hash_words(joined: bytes, starts: Any, ends: Any) -> Any:
    """Eight bytes at a time."""
    # A view of the 8 bytes from each byte on, the first of them the lowest.
    eights = np.ndarray((len(joined) - 7,), "<u8", joined, strides=(1,))
    left = ends - starts
    hashes = left.astype(np.uint64) * _LENGTH
    going = np.arange(len(starts))
    for offset in range(0, LONG_WORD_BYTES, 8):
        part = eights[starts[going] + offset]
        unused = (8 * (8 - np.minimum(left[going] - offset, 8))).astype(np.uint64)
        hashes[going] = mixed(hashes[going] ^ (part << unused))
        going = going[left[going] > offset + 8]
        if not len(going):
            break
    for word in going:  # seldom: encoded data
        hashes[word] = hash_bytes(joined[starts[word] : ends[word]])
    return hashes


def _with_wordless(hashes: Any, counts: Any, texts: Sequence[str]) -> Shingles:
    """Texts of punctuation only are told apart by all they hold."""
    edges = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    wordless = np.flatnonzero(counts == 0).tolist()
    own = [hash_bytes(texts[index].encode("utf-8", "surrogatepass")) for index in wordless]
    hashes = np.insert(hashes, edges[wordless], np.array(own, np.uint64))
    edges[1:] += np.cumsum(counts == 0)
    return Shingles(hashes=hashes, edges=edges.astype(np.uint64))
