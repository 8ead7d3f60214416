"""Requests before the clock: none that is timed shall wait for what is compiled for its shape."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ...contracts import Scenario
from ..clients.connections import RequestFailed
from ..shapes import row_counts, shapes
from ..targets import Asked
from .loadgen import Rows
from .settings import TEXTS_PER_QUERY, Settings

REQUESTS = 20
"""With rows as they come, after those of each shape."""

MAX_SECONDS = 120.0
"""Of a scenario: longer, shapes are left out, and the results say so."""


@dataclass(frozen=True, kw_only=True)
class Warmed:
    seconds: float  # median, of a request as the scenario makes them
    remarks: tuple[str, ...]


def warm_up(
    client: Asked,
    rows: Rows,
    sizes: Sequence[int],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Warmed:
    """Asks batches of all `sizes` in all widths of `rows`, then some of the first of the sizes.

    Raises:
        RequestFailed: these get no answer.
    """
    left_out, started, seconds = [], clock(), []
    wanted = [(size, width, place) for size in sizes for width, place in rows.of_each_width]
    for size, width, place in wanted:
        if clock() - started > MAX_SECONDS or not _answers(client, [rows.texts[place]] * size):
            left_out.append(f"{size} x {width}")
    for request in range(REQUESTS):
        places = [(request * sizes[0] + one) % len(rows.texts) for one in range(sizes[0])]
        before = clock()
        _ask(client, [rows.texts[place] for place in places])
        seconds.append(clock() - before)
    return Warmed(seconds=statistics.median(seconds), remarks=_words(left_out, len(wanted)))


def sizes(scenario: Scenario, settings: Settings, *, together: int) -> tuple[int, ...]:
    """Texts of a request of the scenario, then all other numbers that a model may see at once.

    Numbers that are padded to the same one are named once. `together` is up to how many texts a
    server puts requests together; 0: it does not.
    """
    size = {"multi_stream": TEXTS_PER_QUERY, "offline": settings.batch_size}.get(scenario, 1)
    in_flight = settings.max_in_flight if scenario in ("server", "offline") else 1
    most = max(size, min(together, size * in_flight))
    if most == size and scenario != "offline":  # whose last request has what remains
        return (size,)
    return tuple(dict.fromkeys((size, *reversed(row_counts(most)))))


def of_each_width(
    token_ids: Callable[[Sequence[Sequence[str]]], Any], rows: Sequence[tuple[str, ...]]
) -> Iterator[tuple[int, int]]:
    """The widths in tokens that the rows are padded to where a model is compiled, and for each the
    place of a row: no batch has another width than its longest row.
    """
    lengths = [token_ids([[column] for column in row]).shape[1] for row in rows]
    before = 0
    for width in shapes(max(lengths)).widths:
        fits = [place for place, length in enumerate(lengths) if before < length <= width]
        if fits:
            yield width, fits[0]
        before = width


def _answers(client: Asked, batch: Sequence[tuple[str, ...]]) -> bool:
    with suppress(RequestFailed):  # compiling took too long; or nobody is there, which tells later
        _ask(client, batch)
        return True
    return False


def _ask(client: Asked, batch: Sequence[tuple[str, ...]]) -> None:
    client.texts(list(zip(*batch, strict=True)))


def _words(left_out: Sequence[str], num_wanted: int) -> tuple[str, ...]:
    if not left_out:
        return ()
    return (
        f"{len(left_out)} of {num_wanted} shapes were not asked before the clock, and compiling "
        f"them may be in the times: texts x tokens {', '.join(left_out)}",
    )
