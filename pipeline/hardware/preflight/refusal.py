"""What the TPU compiler and TensorFlow say when they refuse a program -> bytes and names. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = r"(\d+(?:\.\d+)?)([KMGT]?)i?B?"
# libtpu 0.0.52: "Ran out of memory on HBM, the total memory required for HLO temporaries (24.40G)
# exceeds available HBM (15.75G)". Arguments are among these temporaries.
# Older ones: "Ran out of memory in memory space hbm. Used 24.40G of 15.75G hbm."
_FORMS = (
    re.compile(rf"required for [\w ]+\({_SIZE}\) exceeds available HBM \({_SIZE}\)"),
    re.compile(rf"Used {_SIZE} of {_SIZE} hbm", re.IGNORECASE),
)
# TensorFlow, when an op has no kernel for XLA.
_NO_KERNEL = re.compile(r"(\w+) \(No registered '\w+' OpKernel for XLA_")
# The compiler, by the names of operations or targets.
_REFUSED = r" ['\"`]?([\w.$-]+)['\"`]? (?:is )?not (?:implemented|supported)"
_NOT_LOWERED = (
    re.compile(r"failed to legalize operation '([\w.]+)'"),
    re.compile(r"[Cc]ustom[ -]call(?: target)?:?" + _REFUSED),
    re.compile("opcode" + _REFUSED),
)


@dataclass(frozen=True, kw_only=True)
class OutOfMemory:
    """A program that is too large for the chip."""

    required_bytes: int  # arguments included
    available_bytes: int


def out_of_memory(message: str) -> OutOfMemory | None:
    """None when the message is about something else. Sizes are as round as the message is."""
    for form in _FORMS:
        found = form.search(message)
        if found is not None:
            return OutOfMemory(
                required_bytes=_bytes(found[1], found[2]),
                available_bytes=_bytes(found[3], found[4]),
            )
    return None


def not_lowered(message: str) -> tuple[str, ...]:
    """Names of the operations that the message says cannot be compiled, in its order, once each."""
    found = _NO_KERNEL.findall(message)
    for form in _NOT_LOWERED:
        found += form.findall(message)
    return tuple(dict.fromkeys(found))


def _bytes(number: str, unit: str) -> int:
    return round(float(number) * _UNITS[unit])
