"""What personal data looks like: candidates by regular expression, proof by check digits. Pure.

Every pattern is bounded, or never reads again what it has passed: the time is linear in the
text, whatever stands there. Most patterns begin with what is rare in prose (a digit, `:`) and
look behind from there, because that is what `re` searches for fast.

Known misses. Anywhere: zero-width characters, soft hyphens, tags and HTML entities inside what is
looked for. Email: `joe (at) example.com`, white space around the @, quoted names, scripts other
than Latin.
Phone: fewer than 7 digits; numbers that begin neither with +, 00 or 0 nor look North American,
unless a word such as "phone" or "call" stands shortly before; glued to letters, or in a path.
Card: more than one separator between groups, fewer than four digits in the first. IBAN: glued to
letters. National ids: US without separators, Dutch of 8 digits, Italian with spaces. URL: a / ? #
within the userinfo, secrets in the path.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from types import ModuleType
from typing import Literal

KINDS = ("url_credentials", "email", "ip", "iban", "card", "national_id", "phone")
"""In the order in which they are looked for: what may hold another comes first.

The userinfo of a URL looks like an email address, an address may hold a phone number, the digits
of an IBAN pass for a card one time in ten, those of a card or of an id for a phone number.
"""

Needs = Literal["://", "=", "@", ":", "number"]
Span = tuple[int, int]
FindSpan = Callable[[re.Match[str]], Span | None]


@dataclass(frozen=True, kw_only=True)
class Detector:
    """Finds one form of one kind."""

    kind: str
    needs: Needs  # what stands in every text with a find; "number": see `has_number`
    pattern: re.Pattern[str]
    span: FindSpan  # what to replace; None: not one after all


def detectors(kinds: Iterable[str], countries: Iterable[str]) -> tuple[Detector, ...]:
    """Those of the wanted kinds, and for national ids those of the wanted countries, in order."""
    wanted, sets = set(kinds), set(countries)
    national = (found for country, found in _NATIONAL if country in sets)
    return tuple(found for found in (*_GENERAL, *national, *_PHONE) if found.kind in wanted)


def token(kind: str) -> str:
    """What stands for a find: `[EMAIL]`."""
    return f"[{kind.upper()}]"


def replace(text: str, detector: Detector) -> tuple[str, int]:
    """`text` with the token in place of every find, and how many there were."""
    pieces: list[str] = []
    done = position = 0
    while match := detector.pattern.search(text, position):
        span = detector.span(match)
        if span is None:
            position = match.start() + 1
            continue
        pieces += text[done : span[0]], token(detector.kind)
        done = position = span[1]
    if not pieces:
        return text, 0
    return "".join((*pieces, text[done:])), len(pieces) // 2


def has_digit(text: str) -> bool:
    """Whether a decimal digit of any script is there. For ASCII, ten times memchr is fastest."""
    if text.isascii():
        return (
            "1" in text or "0" in text or "2" in text or "9" in text or "5" in text
            or "3" in text or "4" in text or "8" in text or "7" in text or "6" in text
        )  # fmt: skip
    return _DIGIT.search(text) is not None


def has_number(text: str) -> bool:
    """Whether a number is there that may be an address, account, card, id or phone number."""
    return has_digit(text) and _NUMBER.search(text) is not None


def compact(text: str) -> str:
    """Letters and digits only, in capitals, digits of any script as 0 to 9."""
    return _ascii_digits(_NO_LETTER_OR_DIGIT.sub("", text)).upper()


def _ascii_digits(text: str) -> str:
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(char, char)) for char in text)


@cache
def _stdnum(name: str) -> ModuleType:
    """A module of python-stdnum; some read tables when they are imported."""
    return import_module(f"stdnum.{name}")


# Building blocks. `\d` and `\s` are Unicode's: full-width digits, no-break spaces.
_DASHES = r"\-\u2010-\u2015"
_SEP = rf"[\s.{_DASHES}]?"
_GAP = rf"[\s.{_DASHES}/()]{{0,3}}"  # also "(0) 30 / 123"
_FIRST = r"\d(?<!\w\d)(?<!\d[.,]\d)"  # begins neither inside a word nor after a decimal point
_END = r"(?!\w)"
_DIGIT = re.compile(r"\d")
# Seven digits, however separated; four short groups with dots; two digits after two letters.
_NUMBER = re.compile(
    rf"\d(?:(?:{_GAP}\d){{6}}|\d{{0,2}}(?:\.\d{{1,3}}){{3}}|(?<=[A-Za-z]{{2}}\d)\d)"
)
_NO_LETTER_OR_DIGIT = re.compile(r"[\W_]+")
_DIGIT_GROUP = re.compile(r"\d+")


def _detector(kind: str, needs: Needs, pattern: str, span: FindSpan = re.Match.span) -> Detector:
    return Detector(kind=kind, needs=needs, pattern=re.compile(pattern), span=span)


# Secrets in URLs: the userinfo, and values of telling names in query and fragment.
_NOT_DONE = r"(?!\[URL_CREDENTIALS\])"
_USERINFO = rf"://{_NOT_DONE}(?P<secret>[^\s/?#<>\"']{{1,2048}})@"
_QUERY = (
    r"(?i)[?&;#](?:[\w.-]{0,30}(?:token|secret|passw(?:or)?d|passphrase|pwd|api[_-]?key"
    r"|access[_-]?key|signature|credentials?|session[_-]?id|jwt|auth)|key|sig|sid|pass|pw)="
    rf"{_NOT_DONE}(?P<secret>[^\s&#;<>\"']++)"
)


def _secret(match: re.Match[str]) -> Span:
    return match.span("secret")


# Email. Latin letters only: in scripts without spaces the sentence would go with the address.
_LETTER = "A-Za-z0-9_\u00c0-\u024f"
_EMAIL = (
    rf"[{_LETTER}](?<![{_LETTER}].)[{_LETTER}.+%&'~-]{{0,127}}@"
    rf"(?:(?:[{_LETTER}-]{{1,63}}\.){{1,8}}(?:xn--[A-Za-z0-9-]{{2,59}}|[A-Za-z]{{2,24}})"
    r"|\[?\d{1,3}(?:\.\d{1,3}){3}\]?)"
)

# IP addresses. Version 6 is found from its first colon on.
_IPV4 = r"\d(?<![\w.]\d)\d{0,2}(?:\.\d{1,3}){3}(?!\w)(?!\.\d)"
_HEX = "0123456789abcdefABCDEF"
_IPV6 = rf":(?<!::)(?:[{_HEX}]{{0,4}}:){{1,7}}[{_HEX}]{{0,4}}(?:\.\d{{1,3}}){{0,3}}(?!\w)"


def _ipv4(match: re.Match[str]) -> Span | None:
    return match.span() if _is_ip(_ascii_digits(match[0])) else None


def _ipv6(match: re.Match[str]) -> Span | None:
    text, start, end = match.string, match.start(), match.end()
    while start > 0 and match.start() - start < 4 and text[start - 1] in _HEX:
        start -= 1
    before = text[start - 1 : start]
    if before.isalnum() or before in ("_", ":", "."):
        return None
    if text[end - 1] == ":" and text[end - 2] != ":":
        end -= 1  # the colon of the sentence
    found = text[start:end]
    if not any(char.isdecimal() for char in found) and found.count(":") < 4:
        return None  # a scope such as face::add
    return (start, end) if _is_ip(found) else None


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


# IBAN: found from its check digits on, which are rarer than letters.
_IBAN = (
    r"\d\d(?<=[A-Za-z]{2}\d\d)(?<!\w[A-Za-z]{2}\d\d)" + rf"(?:{_SEP}[A-Za-z\d]){{11,30}}"
)  # fmt: skip


def _iban(match: re.Match[str]) -> Span | None:
    """As many letters and digits as the country's IBANs have: words may follow."""
    text, start = match.string, match.start() - 2
    missing = _iban_length(text[start : match.start()].upper())
    for end in range(start + 1, match.end() + 1):
        missing -= text[end - 1].isalnum()
        if missing == 0:
            whole = not text[end : end + 1].isalnum()
            valid = whole and _stdnum("iban").is_valid(compact(text[start:end]))
            return (start, end) if valid else None
    return None


@cache
def _iban_length(country: str) -> int:
    """Letters and digits of an IBAN of that country; 0 when there are none."""
    found = _stdnum("numdb").get("iban").info(country + "00")[0][1] or {}
    sizes = re.findall(r"(\d+)!", found.get("bban", ""))
    return 4 + sum(map(int, sizes)) if sizes else 0


# Cards: 13 to 19 digits, first digits and lengths as issuers have them (ISO/IEC 7812), Luhn.
_CARD = rf"[2-6２-６](?<!\w.)(?<!\d[.,].)\d{{3}}(?:{_SEP}\d){{9,15}}{_END}"
_ISSUED = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3[0689]\d{12,17}|35\d{14,17}"
    r"|(?:6\d|5[06-9])\d{11,17}"
)


def _card(match: re.Match[str]) -> Span | None:
    """The longest leading groups that make a card: an expiry date or a code may follow."""
    number, made = "", []
    for group in _DIGIT_GROUP.finditer(match[0]):
        number += compact(group[0])
        if _ISSUED.fullmatch(number):
            made.append((match.start() + group.end(), number))
    for end, number in reversed(made):
        if _stdnum("luhn").is_valid(number):
            return match.start(), end
    return None


# National ids.
def _groups(*sizes: int) -> str:
    """A number whose groups of digits may be separated."""
    first, *others = sizes
    rest = "".join(rf"{_SEP}\d{{{size}}}" for size in others)
    return rf"{_FIRST}\d{{{first - 1}}}{rest}{_END}"


def _id(country: str, module: str, pattern: str, before: int = 0) -> tuple[str, Detector]:
    """Proved by a module of python-stdnum; the id begins `before` characters before the match."""
    return country, _detector("national_id", "number", pattern, partial(_proved, module, before))


def _proved(module: str, before: int, match: re.Match[str]) -> Span | None:
    start, end = match.start() - before, match.end()
    return (start, end) if _stdnum(module).is_valid(compact(match.string[start:end])) else None


_CODICE_FISCALE = (
    r"(?i)\d\d(?<=[A-Z]{6}\d\d)(?<!\w[A-Z]{6}\d\d)[A-EHLMPR-T][\dL-NP-V]{2}[A-Z][\dL-NP-V]{3}[A-Z]"
)
_NIR = (
    rf"[12１２](?<!\w.){_SEP}\d\d{_SEP}\d\d{_SEP}(?:\d\d|2[ABab])"
    rf"{_SEP}\d{{3}}{_SEP}\d{{3}}{_SEP}\d\d"
)
_NATIONAL = (
    _id("be", "be.nn", _groups(2, 2, 2, 3, 2)),
    _id("br", "br.cpf", _groups(3, 3, 3, 2)),
    _id("ch", "ch.ssn", _groups(3, 4, 4, 2)),
    _id("de", "de.idnr", _groups(2, 3, 3, 3)),
    _id("es", "es.dni", rf"{_FIRST}\d{_SEP}\d{{3}}{_SEP}\d{{3}}{_SEP}[A-Za-z]{_END}"),
    _id("es", "es.nie", rf"[XYZxyz](?<!\w.){_SEP}\d{{7}}{_SEP}[A-Za-z]{_END}"),
    _id("fr", "fr.nir", _NIR + _END),
    _id("gb", "gb.nhs", _groups(3, 3, 4)),
    _id("in", "in_.aadhaar", _groups(4, 4, 4)),
    _id("it", "it.codicefiscale", _CODICE_FISCALE + _END, before=6),
    _id("nl", "nl.bsn", _groups(3, 3, 3)),
    _id("nl", "nl.bsn", _groups(4, 2, 3)),
    _id("pl", "pl.pesel", _groups(6, 5)),
    _id("us", "us.ssn", rf"{_FIRST}\d\d([\s.{_DASHES}])\d\d\1\d{{4}}{_END}"),  # no check digit
)
NATIONAL_IDS = tuple(sorted({country for country, _ in _NATIONAL}))
"""Countries whose ids are known."""


# Phone numbers: international; with the leading 0 of most countries; North American; any other
# number of 7 to 15 digits after a word that announces it.
_FREE = r"(?<![\w/=#+-].)(?<!\d[.,].)"  # the character before begins no word, path or decimal
_INTERNATIONAL = (
    rf"[+＋0０](?:(?<=[+＋])|{_FREE}[0０]){_GAP}[1-9１-９](?:{_GAP}\d){{6,14}}(?!\d)"
)  # fmt: skip
_TRUNK = rf"[0０]{_FREE}[1-9１-９](?:{_GAP}\d){{7,11}}(?!\d)"
_AMERICAN = (
    rf"[1-9１-９]{_FREE}(?:(?<=[1１]){_GAP}[2-9２-９]|(?<![1１]))\d\d"
    rf"{_GAP}[2-9２-９]\d\d{_GAP}\d{{4}}(?!\d)(?![.,]\d)"
)
_ANNOUNCED = rf"{_FIRST}\d(?:{_GAP}\d){{5,13}}(?!\d)"
_ANNOUNCES = re.compile(
    r"(?i)\b(?:tel|telephone|telefon\w*|phone|fax|mobile?|cell|handy|call|dial|ring|sms|whatsapp)\b"
    r"[^\w\n]{0,3}(?:\w{1,12}[^\w\n]{1,3}){0,2}$"
)
_DATE = re.compile(
    r"\d\d?([./-])\d\d?\1(?:(?:19|20)\d\d(?!\d)|\d\d(?![./-]?\d))"
    r"|\d\d\s\d\d\s(?:19|20)\d\d(?!\d)|(?:19|20)\d\d([./-])\d\d?\2\d\d?(?!\d)"
)


def _phone(match: re.Match[str]) -> Span | None:
    text, (start, end) = match.string, match.span()
    if _DATE.match(text, start):
        return None
    opened = match[0].count("(") < match[0].count(")") and text[start - 1 : start] == "("
    return start - opened, end


def _announced(match: re.Match[str]) -> Span | None:
    announced = _ANNOUNCES.search(match.string[max(0, match.start() - 40) : match.start()])
    return _phone(match) if announced else None


_GENERAL = (
    _detector("url_credentials", "://", _USERINFO, _secret),
    _detector("url_credentials", "=", _QUERY, _secret),
    _detector("email", "@", _EMAIL),
    _detector("ip", ":", _IPV6, _ipv6),
    _detector("ip", "number", _IPV4, _ipv4),
    _detector("iban", "number", _IBAN, _iban),
    _detector("card", "number", _CARD, _card),
)
_PHONE = (
    _detector("phone", "number", _INTERNATIONAL, _phone),
    _detector("phone", "number", _TRUNK, _phone),
    _detector("phone", "number", _AMERICAN, _phone),
    _detector("phone", "number", _ANNOUNCED, _announced),
)
