"""Cleaned texts -> SentencePiece model or byte-level BPE, by the libraries that define them.

Both give the same bytes in every process and for any number of threads, which tests hold them to:
SentencePiece with one thread and no shuffling; the BPE trainer of `tokenizers` because every byte
is in its alphabet from the start. (Its WordPiece trainer numbers pieces in the order of a hash
map seeded anew in each process, hence `wordpiece`.)
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ...example_spec import END_TOKEN, PAD_TOKEN, SPECIAL_TOKENS, START_TOKEN, UNKNOWN_TOKEN

MAX_TEXT_BYTES = 1 << 30
"""SentencePiece skips longer ones; its default would leave out most film reviews."""

_ROLES = {"pad": PAD_TOKEN, "unk": UNKNOWN_TOKEN, "bos": START_TOKEN, "eos": END_TOKEN}


def learn_sentencepiece(texts: Iterable[str], *, size: int, lowercase: bool) -> bytes:
    """A serialised unigram model of at most `size` pieces, the special ones first.

    Text is brought to NFKC, and its case folded where `lowercase`; accents stay.

    Raises:
        ValueError: there is too little text.
    """
    from sentencepiece import SentencePieceTrainer

    texts = _without_rare_characters(list(texts), size // 2)
    model = io.BytesIO()
    special: dict[str, Any] = {f"{role}_piece": token for role, token in _ROLES.items()}
    special |= {f"{role}_id": SPECIAL_TOKENS.index(token) for role, token in _ROLES.items()}
    special["control_symbols"] = [t for t in SPECIAL_TOKENS if t not in _ROLES.values()]
    try:
        SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            model_type="unigram",
            vocab_size=size,
            hard_vocab_limit=False,  # small data gives fewer
            normalization_rule_name="nmt_nfkc_cf" if lowercase else "nmt_nfkc",
            max_sentence_length=MAX_TEXT_BYTES,
            num_threads=1,
            shuffle_input_sentence=False,
            minloglevel=2,
            **special,
        )
    except RuntimeError as error:
        raise ValueError(
            f"preprocess.vocabulary.size: must suit the train texts; received {size}, of which "
            f"SentencePiece says: {error}; lower it, or give more text"
        ) from error
    return model.getvalue()


def _without_rare_characters(texts: list[str], limit: int) -> list[str]:
    """The texts with only the `limit` most frequent characters: each of them takes an id, and
    SentencePiece fails where that is too many.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    if len(counts) <= limit:
        return texts
    ordered = sorted(counts, key=lambda character: (-counts[character], character))
    rare = dict.fromkeys(map(ord, ordered[limit:]), " ")
    return [text.translate(rare) for text in texts]


def learn_byte_pairs(
    texts: Iterable[str], *, size: int, min_frequency: int, lowercase: bool
) -> bytes:
    """A tokenizer.json of at most `size` tokens: the special ones, 256 bytes, then merges."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    if lowercase:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.to_str(pretty=False).encode()
