"""Cleaned train texts -> the file of a tokenizer: the same bytes in every process."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial

from ... import files
from ...vocabulary import save_vocabulary
from .config import Vocabulary
from .subwords import learn_byte_pairs, learn_sentencepiece
from .wordpiece import learn_vocabulary

LEARN_BYTES_PER_TOKEN = 1_000
"""Of text, for each token wanted; what lies beyond is not looked at, so that neither time nor
memory grow with the data. Rows come in hash order: the first ones are a random sample."""

MAX_WORD_BYTES = 100
"""Longer words are unknown to the tokenizer: the bound of tensorflow-text and of BERT."""

# CJK ideographs, each a word of its own: the ranges of BERT's tokenizer.
_IDEOGRAPHS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)

_PUNCTUATION_END = 0x20000  # Unicode has none in the planes above


def learn_file(vocabulary: Vocabulary, batches: Iterable[list[str]], path: str) -> None:
    """Learns a tokenizer of the type asked for, and writes it to `path`."""
    size, min_frequency = vocabulary.size, vocabulary.min_frequency
    lowercase = vocabulary.lowercase
    if vocabulary.type == "wordpiece":
        tokens = learn(batches, size=size, min_frequency=min_frequency, lowercase=lowercase)
        save_vocabulary(tokens, path)
        return
    texts = bounded(batches, max_bytes=size * LEARN_BYTES_PER_TOKEN)
    if vocabulary.type == "sentencepiece":
        content = learn_sentencepiece(texts, size=size, lowercase=lowercase)
    else:
        content = learn_byte_pairs(
            texts, size=size, min_frequency=min_frequency, lowercase=lowercase
        )
    files.write_bytes(path, content)


def bounded(batches: Iterable[list[str]], *, max_bytes: int) -> Iterator[str]:
    """Texts one by one, up to the one that reaches `max_bytes`."""
    num_bytes = 0
    for texts in batches:
        for text in texts:
            yield text
            num_bytes += len(text.encode())
            if num_bytes >= max_bytes:
                return


def learn(
    batches: Iterable[list[str]], *, size: int, min_frequency: int, lowercase: bool
) -> tuple[str, ...]:
    """At most `size` tokens by id, learnt from as much of the cleaned texts as that takes."""
    counts = count_words(batches, lowercase=lowercase, max_bytes=size * LEARN_BYTES_PER_TOKEN)
    return learn_vocabulary(counts, size=size, min_frequency=min_frequency)


def count_words(batches: Iterable[list[str]], *, lowercase: bool, max_bytes: int) -> Counter[str]:
    """How often each word occurs after the tokenizer's own normalization and word splitting."""
    import tensorflow as tf

    from ...graph_tokenizer import normalize

    normalized = tf.function(
        partial(normalize, lowercase=lowercase),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    chunks: Counter[str] = Counter()
    num_bytes = 0
    for texts in batches:
        joined = b" ".join(normalized(tf.constant(texts)).numpy())
        chunks.update(joined.decode().split())
        num_bytes += len(joined)
        if num_bytes >= max_bytes:
            break
    return _split_words(chunks)


def _split_words(chunks: Counter[str]) -> Counter[str]:
    """Counts of what stands between blanks -> counts of words. Each chunk is split only once."""
    find_words = _word_pattern().findall
    words: Counter[str] = Counter()
    for chunk, count in chunks.items():
        for word in find_words(chunk):
            if len(word.encode()) <= MAX_WORD_BYTES:
                words[word] += count
    return words


def _word_pattern() -> re.Pattern[str]:
    """Words; punctuation and ideographs stand alone, whatever is next to them."""
    codes = [code for code in range(_PUNCTUATION_END) if _is_punctuation(chr(code))]
    ranges = [(code, code) for code in codes] + [*_IDEOGRAPHS]
    alone = "".join(f"{re.escape(chr(low))}-{re.escape(chr(high))}" for low, high in ranges)
    return re.compile(rf"[{alone}]|[^\s{alone}]+")


def _is_punctuation(character: str) -> bool:
    """As BERT has it: of ASCII, every sign counts."""
    if character.isascii():
        return character.isprintable() and not character.isalnum() and character != " "
    return unicodedata.category(character)[0] == "P"
