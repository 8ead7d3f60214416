"""Word counts -> WordPiece vocabulary. Pure, and the same in every process.

Pieces are merged by how often they stand side by side (Sennrich et al. 2016,
https://aclanthology.org/P16-1162), which is how BERT vocabularies are learnt in practice. The
`tokenizers` library learns the same way, but numbers its pieces in the order of a hash map seeded
anew in each process; and counting words is what takes the time, not merging.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import pairwise

from ...example_spec import SPECIAL_TOKENS

CONTINUES = "##"
"""Marks a piece that does not start a word."""

MAX_ALPHABET = 1000

Pair = tuple[str, str]


def learn_vocabulary(
    word_counts: Mapping[str, int], *, size: int, min_frequency: int
) -> tuple[str, ...]:
    """At most `size` tokens by id: the special ones, the alphabet, then merges by frequency.

    Words, characters and merges seen fewer than `min_frequency` times do not count; characters
    get at most a quarter of `size` as word starts and as much again as continuations.
    """
    word_counts = {word: count for word, count in word_counts.items() if count >= min_frequency}
    spelled, alphabet = _spell(word_counts, min_frequency, min(MAX_ALPHABET, size // 4))
    vocabulary = dict.fromkeys((*SPECIAL_TOKENS, *alphabet))
    merges = _Merges(spelled)
    while len(vocabulary) < size:
        best = merges.pop()
        if best is None or best[0] < min_frequency:
            break
        vocabulary[merges.apply(best[1])] = None
    return tuple(vocabulary)


def _spell(
    word_counts: Mapping[str, int], min_frequency: int, limit: int
) -> tuple[list[tuple[list[str], int]], list[str]]:
    """Words as lists of one-character pieces with their counts, and the sorted alphabet.

    Words with a character outside of the alphabet are unknown as a whole, and are left out.
    """
    starts: Counter[str] = Counter()
    inner: Counter[str] = Counter()
    for word, count in word_counts.items():
        starts[word[0]] += count
        for character in word[1:]:
            inner[character] += count
    first = _most_frequent(starts, min_frequency, limit)
    later = _most_frequent(inner, min_frequency, limit)
    spelled = [
        ([word[0], *(CONTINUES + character for character in word[1:])], word_counts[word])
        for word in sorted(word_counts)
        if word[0] in first and later.issuperset(word[1:])
    ]
    return spelled, [*sorted(first), *(CONTINUES + character for character in sorted(later))]


def _most_frequent(counts: Counter[str], min_frequency: int, limit: int) -> set[str]:
    ordered = sorted(counts, key=lambda character: (-counts[character], character))
    return {character for character in ordered[:limit] if counts[character] >= min_frequency}


class _Merges:
    """Which pieces stand side by side in which words, kept up to date while they are merged."""

    def __init__(self, spelled: list[tuple[list[str], int]]) -> None:
        self._words = [pieces for pieces, _ in spelled]
        self._counts = [count for _, count in spelled]
        self._frequency: Counter[Pair] = Counter()
        self._where: defaultdict[Pair, set[int]] = defaultdict(set)
        for number, pieces in enumerate(self._words):
            for pair in pairwise(pieces):
                self._frequency[pair] += self._counts[number]
                self._where[pair].add(number)
        # Equal frequencies are told apart by spelling.
        self._heap = [(-count, pair) for pair, count in self._frequency.items()]
        heapq.heapify(self._heap)

    def pop(self) -> tuple[int, Pair] | None:
        """The most frequent pair and its frequency; None when every word is one piece."""
        while self._heap:
            count, pair = heapq.heappop(self._heap)
            current = self._frequency.get(pair, 0)
            if current == -count:
                return current, pair
            # A frequency that went up was pushed then; one that went down comes back here.
            if 0 < current < -count:
                heapq.heappush(self._heap, (-current, pair))
        return None

    def apply(self, pair: Pair) -> str:
        """Joins the pair wherever it stands; returns the new piece."""
        joined = pair[0] + pair[1].removeprefix(CONTINUES)
        risen: set[Pair] = set()
        for number in self._where.pop(pair):
            risen.update(self._join(number, pair, joined))
        self._frequency.pop(pair, None)
        for new in risen:
            heapq.heappush(self._heap, (-self._frequency[new], new))
        return joined

    def _join(self, number: int, pair: Pair, joined: str) -> list[Pair]:
        """The pair within one word; returns the neighbourhoods that are new."""
        left, right = pair
        pieces, count = self._words[number], self._counts[number]
        frequency = self._frequency
        new: list[Pair] = []
        i = 0
        while i < len(pieces) - 1:
            if pieces[i] == left and pieces[i + 1] == right:
                pieces[i : i + 2] = [joined]
                if i > 0:
                    frequency[pieces[i - 1], left] -= count
                    frequency[pieces[i - 1], joined] += count
                    new.append((pieces[i - 1], joined))
                if i + 1 < len(pieces):
                    frequency[right, pieces[i + 1]] -= count
                    frequency[joined, pieces[i + 1]] += count
                    new.append((joined, pieces[i + 1]))
            i += 1
        for neighbours in new:
            self._where[neighbours].add(number)
        return new
