"""Raw strings -> token ids, as TensorFlow ops: preprocessing and the SavedModel run the same ones.

What all tokenizers share, and WordPiece: BERT's normalization, and the linear-time algorithm of
Song et al. 2021 (https://arxiv.org/abs/2012.15524) from tensorflow-text, called on batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf
import tensorflow_text as tf_text

from .example_spec import UNKNOWN_TOKEN
from .vocabulary import SpecialIds, find_special_ids

_ELEMENTS = (
    "a abbr b big blockquote body br center cite code dd del div dl dt em font h[1-6] head hr html "
    "i img ins li link meta ol option p pre q s script small span strike strong style sub sup "
    "table tbody td tfoot th thead title tr tt u ul"
)
# Known elements only, and attributes only with a value: `<unk>`, `<user>` and `a <b and c> d`
# are text.
_NAME = r"</?(?i:" + "|".join(_ELEMENTS.split()) + r")"
_ATTRIBUTE = r"""(?: [a-zA-Z_:][\w:.-]* ?= ?(?:"[^"<>]*"|'[^'<>]*'|[^ "'<>=]+))"""
_TAG = rf"(?:{_NAME}{_ATTRIBUTE}* ?/?>|<!--(?s:.)*?-->)"
# A tag that another one interrupts, `<a <b>href=x>`, stays as it is: with the inner one taken out,
# cleaning a second time would find the outer one.
_INTERRUPTED = rf"{_NAME}\b[^<>]*(?:<[^<>]*)+>?"
_MARKUP = rf"(?: ?{_TAG}|({_INTERRUPTED})) ?(?:{_TAG} ?)*"
# Categories Cc and Z without the plain space, so that single spaces, nearly all there are, are no
# match: nine times as fast as r"[\pZ\p{Cc}]+".
_BLANK = r"\x00-\x1f\x7f-\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
_BLANKS = rf" [ {_BLANK}]+|[{_BLANK}][ {_BLANK}]*"
_UNSEEN = r"\p{Cf}\p{Co}\x{fffd}"  # format characters, private use, and what was no UTF-8
_VALID_UTF8 = r"[\x00-\x{d7ff}\x{e000}-\x{10ffff}]*"


class TokenRows(NamedTuple):
    """Tokenised rows, not padded."""

    token_ids: tf.RaggedTensor  # int32 (B, None)
    segment_ids: tf.RaggedTensor  # int32 (B, None): 1 for the pair and the [SEP] that ends it
    truncated: tf.Tensor  # bool (B,): whether tokens were cut off


def clean(texts: tf.Tensor) -> tf.Tensor:
    """Strings `(B,)` -> `(B,)`: valid UTF-8, NFC, no HTML tags, single spaces. Idempotent.

    Bytes that are not UTF-8 become U+FFFD; control characters and every kind of white space
    become one space; tags and comments too, character references (`&amp;`) stay.
    """
    texts = tf.cond(  # transcoding costs as much as everything else here, and is seldom needed
        tf.reduce_all(tf.strings.regex_full_match(texts, _VALID_UTF8)),
        lambda: texts,
        lambda: tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace"),
    )
    # Before the tags: U+0338 turns the < or > in front of it into another character.
    texts = tf_text.normalize_utf8(texts, "NFC")
    texts = tf.strings.regex_replace(texts, _BLANKS, " ")
    texts = tf.strings.regex_replace(texts, _MARKUP, r"\1 ")
    return tf.strings.strip(texts)


def normalize(texts: tf.Tensor, *, lowercase: bool) -> tf.Tensor:
    """Cleaned strings `(B,)` -> `(B,)` as BERT's WordPiece sees them: unseen characters are gone
    and, with `lowercase`, case and accents.

    Of the code in https://github.com/google-research/bert (tokenization.py). The normalizer of
    tensorflow-text that is named after it also takes compatibility forms apart (NFKC case folding:
    `…` to `...`, `½` to `1⁄2`, `ß` to `ss`), which no such vocabulary was made for.
    """
    if not lowercase:
        return tf.strings.regex_replace(texts, f"[{_UNSEEN}]+", "")
    texts = tf.strings.lower(texts)  # of ASCII only: for most texts that is all
    # Those with a character of several bytes: a pattern would take three times as long to tell.
    others = tf.where(tf.strings.length(texts, "UTF8_CHAR") != tf.strings.length(texts))
    return tf.tensor_scatter_nd_update(texts, others, _lower(tf.gather_nd(texts, others)))


def _lower(texts: tf.Tensor) -> tf.Tensor:
    # The op follows the locale of the process, which in Turkish sees more than one i.
    texts = tf.strings.regex_replace(texts, "\u0130", "i")
    texts = tf.strings.lower(texts, encoding="utf-8")
    texts = tf_text.normalize_utf8(texts, "NFD")
    return tf.strings.regex_replace(texts, rf"[\p{{Mn}}{_UNSEEN}]+", "")


class TextTokenizer(tf.Module):
    """Cleans and tokenises batches of strings. What a piece is, is up to `pieces`."""

    in_graph = True
    """Whether it is all ops, so that it can be saved with a model."""

    def __init__(
        self, special_ids: SpecialIds, *, sequence_length: int, has_text_pair: bool
    ) -> None:
        super().__init__(name="tokenizer")
        self.special_ids = special_ids
        self.sequence_length = sequence_length
        self.has_text_pair = has_text_pair

    def pieces(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Cleaned strings `(B,)` -> ids int32 `(B, None)`, all of them and no special ones."""
        raise NotImplementedError

    def clean(self, texts: tf.Tensor) -> tf.Tensor:
        """See the function `clean`."""
        return clean(texts)

    def tokenize(self, texts: tf.Tensor, text_pairs: tf.Tensor | None = None) -> TokenRows:
        """Cleaned strings `(B,)` -> `[CLS] text [SEP]` or `[CLS] text [SEP] pair [SEP]`.

        Rows have at most `sequence_length` tokens. Of a pair the longer text is cut first, so a
        short one stays whole. There is no [CLS] where the vocabulary has none.
        """
        assert (text_pairs is not None) == self.has_text_pair
        num_starts = 0 if self.special_ids.start is None else 1
        first = self.pieces(texts)
        if text_pairs is None:
            room = self.sequence_length - num_starts - 1
            token_ids = self._join(first.nrows(out_type=tf.int32), first[:, :room])
            return TokenRows(token_ids, tf.zeros_like(token_ids), first.row_lengths() > room)
        second = self.pieces(text_pairs)
        room = self.sequence_length - num_starts - 2
        lengths_a, lengths_b = first.row_lengths(), second.row_lengths()
        kept_a = tf.minimum(lengths_a, tf.maximum(room - lengths_b, room - room // 2))
        kept_b = tf.minimum(lengths_b, room - kept_a)
        first, second = _head(first, kept_a), _head(second, kept_b)
        token_ids = self._join(first.nrows(out_type=tf.int32), first, second)
        positions = tf.ragged.range(token_ids.row_lengths())
        in_pair = positions.values >= tf.repeat(kept_a + num_starts + 1, token_ids.row_lengths())
        return TokenRows(
            token_ids,
            token_ids.with_values(tf.cast(in_pair, tf.int32)),
            lengths_a + lengths_b > room,
        )

    def __call__(self, texts: tf.Tensor, text_pairs: tf.Tensor | None = None) -> TokenRows:
        """Raw strings `(B,)`: `clean`, then `tokenize`."""
        return self.tokenize(clean(texts), None if text_pairs is None else clean(text_pairs))

    def _join(self, num_rows: tf.Tensor, *texts: tf.RaggedTensor) -> tf.RaggedTensor:
        special = self.special_ids
        start = [] if special.start is None else [tf.fill([num_rows, 1], special.start)]
        end = tf.fill([num_rows, 1], special.end)
        return tf.concat([*start, *(part for text in texts for part in (text, end))], axis=1)


class WordpieceTokenizer(TextTokenizer):
    """BERT's: words, and their pieces where a word is not in the vocabulary."""

    def __init__(
        self,
        vocabulary: Sequence[str],
        *,
        lowercase: bool,
        sequence_length: int,
        has_text_pair: bool,
    ) -> None:
        super().__init__(
            find_special_ids((token, i) for i, token in enumerate(vocabulary)),
            sequence_length=sequence_length,
            has_text_pair=has_text_pair,
        )
        self._lowercase = lowercase
        self._wordpiece = tf_text.FastWordpieceTokenizer(
            list(vocabulary),
            token_out_type=tf.int32,
            unknown_token=UNKNOWN_TOKEN,
            support_detokenization=False,
        )

    def pieces(self, texts: tf.Tensor) -> tf.RaggedTensor:
        return self._wordpiece.tokenize(normalize(texts, lowercase=self._lowercase))


def _head(rows: tf.RaggedTensor, lengths: tf.Tensor) -> tf.RaggedTensor:
    """The first `lengths` `(B,)` values of each row."""
    positions = tf.ragged.range(rows.row_lengths())
    kept = positions.values < tf.repeat(lengths, rows.row_lengths())
    return tf.RaggedTensor.from_row_lengths(
        tf.boolean_mask(rows.values, kept), lengths, validate=False
    )
