"""The grammar behind the embedded sample: notation, shared slots, and frames that join phrases.

Notation: `[a|b|]` is one of its alternatives (nesting allowed, one may be empty); `{name}` is one
of `SLOTS` or a fact of the message (order number, product, ...). Everything is made up.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, kw_only=True)
class Intent:
    """The phrases of one intent.

    `asks` are requests that stand alone. `wants` complete "I want to ...": they are the request of
    one customer and what another customer does not want. `past` are sentences on the same things
    that ask for nothing: background in a message with another intent. `topics` are noun phrases.
    """

    share: float
    asks: tuple[str, ...]
    wants: tuple[str, ...]
    past: tuple[str, ...]
    topics: tuple[str, ...]


def lines(text: str) -> tuple[str, ...]:
    """The lines of a text block: one skeleton each."""
    return tuple(text.strip().splitlines())


# A parsed template: literal strings, `{slot}` names, and choices between parsed templates.
_Choice = tuple["_Template", ...]
_Template = tuple["str | _Slot | _Choice", ...]


@dataclass(frozen=True)
class _Slot:
    name: str


def expand(template: str, rng: random.Random, facts: Mapping[str, str]) -> str:
    """One reading of a template. The draws depend on the template and on `rng` only."""
    return "".join(_walk(_parse(template), rng, facts))


def _walk(sequence: _Template, rng: random.Random, facts: Mapping[str, str]) -> list[str]:
    pieces: list[str] = []
    for part in sequence:
        if isinstance(part, str):
            pieces.append(part)
        elif isinstance(part, tuple):
            pieces += _walk(rng.choice(part), rng, facts)
        elif part.name in facts:
            pieces.append(facts[part.name])
        else:
            pieces += _walk(_parse(SLOTS[part.name]), rng, facts)
    return pieces


@cache
def _parse(template: str) -> _Template:
    tokens = re.findall(r"[\[\]|]|\{\w+\}|[^\[\]|{}]+", template)
    assert "".join(tokens) == template, f"not in the notation: {template}"
    sequence, rest = _parse_sequence(tokens)
    assert not rest, f"unbalanced: {template}"
    return sequence


def _parse_sequence(tokens: list[str]) -> tuple[_Template, list[str]]:
    parts: list[str | _Slot | _Choice] = []
    while tokens and tokens[0] not in ("|", "]"):
        token, tokens = tokens[0], tokens[1:]
        if token == "[":
            choice, tokens = _parse_choice(tokens)
            parts.append(choice)
        else:
            parts.append(_Slot(token[1:-1]) if token[0] == "{" else token)
    return tuple(parts), tokens


def _parse_choice(tokens: list[str]) -> tuple[_Choice, list[str]]:
    alternatives: list[_Template] = []
    separator = "|"
    while separator == "|":
        alternative, tokens = _parse_sequence(tokens)
        alternatives.append(alternative)
        separator, tokens = tokens[0], tokens[1:]
    return tuple(alternatives), tokens


SLOTS: dict[str, str] = {
    "order": "[my order|my order|order {number}|my order {number}|the order I placed {placed}]",
    "item": "[the {product}|the {product}|my {product}|the {noun}]",
    "when": "[yesterday|last week|on Monday|two days ago|three weeks ago|on {date}|this morning]",
    "since": "[yesterday|last week|Monday|{date}|this morning]",
    "ago": "[last week|ten days ago|two weeks ago|three weeks ago|on {date}]",
    "placed": "[last month|a month ago|in {month}]",
    "soon": "[today|tomorrow|this week|before Friday|by {date}]",
    "long": "[a week|two weeks|ten days|nearly a month|five days]",
    "parcel": "[parcel|parcel|package]",
    "plan": "[subscription|subscription|membership|monthly box|Plus plan]",
    "can": "[Can|Could|Would] you [please |]",
    "want": "[I want to|I'd like to|I would like to|I need to]",
    "moved": "[We moved {when}|I have moved house|I moved to a new flat|We are moving next week]",
    "street": "{house} [Alder Lane|Mill Road|Harbour Street|Fern Close]",
    "flaw": "[broken|damaged|cracked|scratched|faulty]",
}

OPENINGS = lines("""
Hi,
Hi there,
Hello,
Hello!
Hey,
Good morning,
Good evening,
Dear team,
Dear support team,
Hi, me again.
""")

CLOSINGS = lines("""
Thanks!
Thanks.
Thank you!
Thank you in advance.
Many thanks, {name}
Best regards, {name}
Kind regards
Cheers, {name}
Have a nice day!
Hope you can help.
Please answer soon.
""")

REMARKS = lines("""
I am a bit annoyed, to be honest.
This is the third time I write.
It is a gift for my sister.
I have been a customer for years.
No rush.
It is quite urgent.
I could not find this in your help pages.
I tried the phone, but nobody answers.
Sorry to bother you.
I hope this is the right place to ask.
Normally I am very happy with your shop.
The chat sent me here.
Maybe I missed something.
""")

# {target}: the request. {other}: the same kind of phrase of another intent, which is not wanted.
# Same words, other order: only the frame says which of the two counts.
CONTRASTS = lines("""
I don't want to {other}, I [only|just] want to {target}.
I don't want to {other}, I [only|just] want to {target}.
I do not need to {other}, I need to {target}.
I'm not trying to {other}, I'm trying to {target}.
I no longer want to {other}. Now I want to {target}.
I asked to {other}, but I meant to {target}.
Your chat thinks I want to {other}, but I want to {target}.
I don't need help to {other}, I need help to {target}.
Yesterday I wanted to {other}, today I want to {target}.
No need to {other}. But I would like to {target}.
My question is not how to {other}, it is how to {target}.
I want to {target} and not to {other}.
I need help to {target} and not to {other}.
I would like to {target}, and certainly not to {other}.
""")

# {past}: a sentence of another intent that asks for nothing. {ask}: the request.
BACKGROUNDS = lines("""
{past}. {ask}
{past}, thanks. {ask}
{past}, so that is fine. {ask}
{past}. [Now another thing|Something else]: {ask}
This is not about {topic}. {ask}
It is not about {topic} this time. {ask}
Thanks for your help with {topic}. {ask}
{ask} [And b|B]y the way, {past}.
{ask} This is not about {topic}.
""")

# Messages from which nobody could tell the intent.
VAGUE = lines("""
I have a question about {order}.
{can}call me about {order}?
There is a problem with {order} and my account.
Nobody answered my last message about {order}. What now?
Please have a look at {order} and my account.
""")
