"""Ways in which rows and files get damaged between their writer and us. Seeded, all made up."""

from __future__ import annotations

import json
import random

WORDS = ["blue", "kettle", "naïve", "привет", "日本", "👋🏽", "O'Neil", "a,b", "x\ty", '"so"', "é"]

ODD = [
    b'"',
    b'""',
    b"\\",
    b",",
    b"\t",
    b"\r",
    b"\n",
    b"\0",
    b"{",
    b"}",
    b"[" * 50,
    b"\xef\xbb\xbf",  # a byte order mark
    b"\xed\xa0\x80",  # a surrogate, as some encoders write it
    b"\xff",
    b"\\ud800",
    b"\\u0000",
    "\u2028".encode(),
    "\u0085".encode(),
    "\u200f\u202e".encode(),  # right to left
    "\ufeff".encode(),
    b"9" * 5000,
    b"NaN",
    b"null",
]


def made_up_text(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(1, 8)))


def row_bytes(format_: str, text: str, label: str) -> bytes:
    """One sound row of a format, without its end."""
    if format_ == "jsonl":
        return json.dumps({"text": text, "label": label}, ensure_ascii=False).encode()
    if format_ == "lines":
        return text.encode()
    if format_ == "tsv":
        return "\t".join((text.replace("\t", " "), label)).encode()
    quoted = text.replace('"', '""')
    return f'"{quoted}",{label}'.encode()


def mutated(row: bytes, rng: random.Random) -> bytes:
    """The row after one to three mishaps."""
    for _ in range(rng.randint(1, 3)):
        row = _mishap(row, rng)
    return row


def _mishap(row: bytes, rng: random.Random) -> bytes:
    at = rng.randint(0, len(row))
    kind = rng.randrange(7)
    if kind == 0:
        return row[:at]
    if kind == 1:
        return row[at:]
    if kind == 2:
        return flipped(row, rng, 1)
    if kind == 3:
        return row.decode("utf-8", "replace").encode("latin-1", "replace")
    if kind == 4:
        return row.decode("utf-8", "replace").encode(rng.choice(["utf-16", "utf-16-be"]))
    if kind == 5:
        return row[:at] + rng.randbytes(rng.randint(1, 12)) + row[at:]
    return row[:at] + rng.choice(ODD) + row[at:]


def flipped(data: bytes, rng: random.Random, count: int) -> bytes:
    """`data` with `count` bits of it turned over."""
    changed = bytearray(data)
    for _ in range(count if data else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def damaged_file(whole: bytes, rng: random.Random) -> bytes:
    """The file after one mishap of disks, networks or copies."""
    first, last = sorted(rng.randint(0, len(whole)) for _ in range(2))
    kind = rng.randrange(7)
    if kind == 0:
        return whole[:first]
    if kind == 1:
        return flipped(whole, rng, 1)
    if kind == 2:
        return flipped(whole, rng, 20)
    if kind == 3:
        return whole[:first] + bytes(last - first) + whole[last:]
    if kind == 4:
        return whole[:first] + whole[last:]
    if kind == 5:
        return whole[:first] + rng.randbytes(rng.randint(1, 64)) + whole[first:]
    return whole + rng.randbytes(rng.randint(1, 64))
