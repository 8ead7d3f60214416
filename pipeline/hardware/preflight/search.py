"""The largest batch that fits, by few compiles: a line through what is known, then bisection.

What a step holds besides its batch is constant, and activations grow with the batch, so that memory
is nearly linear in it. Near the limit the compiler trades time for memory, and padding to tiles
makes steps: hence every answer is confirmed by a compile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MAX_COMPILES = 10
"""Of one search; a compile takes minutes."""
_SMALL = (8, 16)  # rows a replica


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One compile: a global batch and what it takes."""

    global_batch_size: int
    peak_bytes: int  # of one replica; needed, where it does not fit
    fits: bool


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search came to. `largest` 0: not even one row a replica fits."""

    largest: int
    refused: int | None  # the smallest batch that was refused; None: none was
    tried: tuple[Tried, ...]  # in order


def largest_batch(
    compiled: Callable[[int], Tried],
    *,
    step: int,
    known: tuple[Tried, ...] = (),
    usable_bytes: int,
    limit: int,
    max_compiles: int = MAX_COMPILES,
) -> Found:
    """Tries batches that are multiples of `step`, the replicas, until the largest is known.

    `compiled` compiles a global batch; `known` was compiled before and costs nothing. Beyond
    `limit` rows nothing is tried.
    """
    tried = list(known)
    while len(tried) - len(known) < max_compiles:
        size = next_batch(tried, step=step, usable_bytes=usable_bytes, limit=limit)
        if size is None:
            break
        tried.append(compiled(size))
    low, high = _bracket(tried)
    return Found(largest=low, refused=high, tried=tuple(tried[len(known) :]))


def next_batch(tried: list[Tried], *, step: int, usable_bytes: int, limit: int) -> int | None:
    """What to compile next; None when the largest batch is known.

    First two small ones. Then where the line says, kept strictly inside what is still open; the
    middle when that would only nibble at an end that was tried.
    """
    sizes = {t.global_batch_size for t in tried}
    if len(sizes) < 2:
        return next(rows * step for rows in _SMALL if rows * step not in sizes)
    low, high = _bracket(tried)
    if high is not None and high - low <= step:
        return None
    guess = _predicted(tried, usable_bytes) // step * step
    if high is None:
        guess = min(max(guess, low + step), limit // step * step)
        return guess if guess > low else None
    guess = min(max(guess, low + step), high - step)
    wide = high - low > 8 * step
    if wide and len(tried) > 4 and min(guess - low, high - guess) <= (high - low) // 16:
        guess = (low + high) // 2 // step * step
    return guess


def _predicted(tried: list[Tried], usable_bytes: int) -> int:
    """Where the line through the two compiles nearest to the limit reaches it."""
    nearest = sorted(
        {t.global_batch_size: t for t in tried}.values(),
        key=lambda t: (abs(t.peak_bytes - usable_bytes), -t.global_batch_size),
    )
    (x0, y0), (x1, y1) = ((t.global_batch_size, t.peak_bytes) for t in nearest[:2])
    slope = (y1 - y0) / (x1 - x0)
    if slope <= 0:  # such a line tells nothing: go on by doubling
        return 2 * max(t.global_batch_size for t in tried)
    return int(x0 + (usable_bytes - y0) / slope)


def _bracket(tried: list[Tried]) -> tuple[int, int | None]:
    """The largest that fits and the smallest above it that does not."""
    low = max((t.global_batch_size for t in tried if t.fits), default=0)
    refused = [t.global_batch_size for t in tried if not t.fits and t.global_batch_size > low]
    return low, min(refused, default=None)
