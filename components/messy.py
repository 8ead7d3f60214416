"""Strings that break tokenizers: every way into the model must read them alike.

Bytes, because a serving request is bytes: not all of them are valid UTF-8.
"""

from __future__ import annotations

_COMPOSED = "Crème brûlée, Ångström, naïve façade"
_DECOMPOSED = "Cre\u0300me bru\u0302le\u0301e, A\u030angstro\u0308m, nai\u0308ve fac\u0327ade"

_VALID = (
    # Nothing, or nothing that is seen
    "",
    " ",
    " \t \n\r\n ",
    "\u00a0\u2003\u3000",
    "\u200b\u200c\u200d\ufeff",
    "\u0085\u2028\u2029",
    # Unicode forms of one and the same word
    _COMPOSED,
    _DECOMPOSED,
    "ÉCOLE École e\u0301cole ÀÉÎÕÜ",
    "o\u0323\u0302 \u1ed9 o\u0302\u0323",
    "Z\u0351\u036b\u0343a\u0363\u0348l\u034a\u030bg\u0330o\u0316",
    "\u0301 starts with a lone combining mark",
    "Ｆｕｌｌｗｉｄｔｈ　ｗｏｒｄｓ　１２３",
    "𝕄𝕒𝕥𝕙 𝐚𝐥𝐩𝐡𝐚𝐧𝐮𝐦𝐞𝐫𝐢𝐜 𝟙𝟚𝟛 𝔰𝔠𝔯𝔦𝔭𝔱",
    "eﬃcient oﬀer, ﬁsh ﬂoor, ĳ ŉ",
    "½ ² ③ Ⅳ ™ № ℃",
    # Letters whose case is not that of English
    "ISTANBUL İstanbul ıstanbul istanbul I\u0307",
    "STRASSE Straße STRAẞE ſtraße",
    "ΟΔΟΣ Οδος οδός ΐ ΰ",
    "ǅ Ǆ ǆ Ǉ",
    # Pictures
    "👨‍👩‍👧‍👦 👩🏽‍🚒 🏳️‍🌈 🇩🇪 1️⃣ ❤️ good 👍🏿",
    "☺ ☹ ✓ ¯\\_(ツ)_/¯ :-) <3 </3",
    # Other scripts
    "這部電影非常好看。すばらしい映画でした!정말 좋은 영화",
    "한국어 \u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165",
    "שָׁלוֹם עולם \u200f(מעולה)\u200e 100%",
    "مرحبا بالعالم ١٢٣ \u202eabc\u202c",
    "हिन्दी में क्षत्रिय ภาษาไทย ខ្មែរ",
    "Привет, МИР! ёлка е\u0308лка й и\u0306",
    # Markup
    "A great film.<br /><br />Really<BR>great<br/>.",
    "<p class='x'>Hello <b>bold</b> &amp; &lt;escaped&gt; &#39;</p><!-- note -->",
    "5 < 6 and 7 > 3, a<b, <unclosed tag, <a href='x' also open",
    "<<<>>> <> </> < br > <script>alert(1)</script",
    # Control characters
    "nul\x00in the\x00middle\x00",
    "bell\x07 back\x08space esc\x1b[31mred\x1b[0m del\x7f c1\x80\x9f",
    "soft\u00adhyphen word\u2060joiner no\u00a0break zero\u200bwidth",
    "private \ue000 use \U000f0000, nonchar \ufffe \U0010ffff, replaced \ufffd",
    # Special tokens written out
    "[CLS] [SEP] [PAD] [UNK] [MASK] [cls] ##ing ##",
    # Length
    "x" * 99 + " " + "x" * 100 + " " + "x" * 101,
    "Donaudampfschifffahrtsgesellschaftskapitän" * 12,
    "é" * 150,
    "word " * 2000,
    "a\u0300" * 3000,
    "!" * 500,
    # Everyday noise
    "https://example.com/a/b?c=d&e=%20#f, mail@example.org, @user #topic $AAPL",
    "1,234.56 -7e-10 0x1F 10:30pm 2026-02-29 +49 (0)30 1/2 50%",
    "don't can’t “quoted” ‘single’ «guillemets» — – ‑ … ‰",
    "tHiS iS MiXeD CaSe ÀcCeNtS and SHOUTING!!!1",
    'a "" b \'\' c \\n \\u0041 \\ {"json": [1]} %s {0}',
)

_INVALID = (
    b"caf\xe9 in Latin-1",
    b"\xff\xfe U\x00T\x00F\x00-\x001\x006\x00",
    b"\xed\xa0\xbd\xed\xb8\x80 surrogates encoded one by one",
    b"overlong \xc0\xaf \xe0\x80\xaf, beyond \xf4\x90\x80\x80 Unicode",
    b"cut short \xe2\x82",
    b"\x80\xbf lone continuation \xc3",
    "escaped \udce9 surrogate".encode(errors="surrogateescape"),
    bytes(range(256)),
)

MESSY_TEXTS: tuple[bytes, ...] = tuple(text.encode() for text in _VALID) + _INVALID
"""Each once; the last ones are not valid UTF-8."""
