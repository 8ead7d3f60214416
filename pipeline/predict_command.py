"""`tpuline predict`: its arguments, and what it prints. Imports what is needed when it runs."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from .errors import ConfigError


def add_arguments(predict: argparse.ArgumentParser) -> None:
    """All but `--set`, which other commands have, too."""
    predict.add_argument(
        "model", metavar="MODEL", help="the folder of a model, or <root>/export/<key>"
    )
    predict.add_argument(
        "--input",
        metavar="PLACE",
        action="append",
        required=True,
        help="a file or glob of texts, here or in a bucket; may be repeated",
    )
    predict.add_argument(
        "--output", metavar="DIR", required=True, help="a folder; the same command goes on there"
    )
    predict.add_argument(
        "--follow",
        action="store_true",
        help="the files grow, and their lines are events (JSON: entity, text, time): sum them up "
        "by entity and window of time until Ctrl-C; --output is then a new folder",
    )


def run(args: argparse.Namespace) -> Iterator[str]:
    """What is to be printed.

    Raises:
        ConfigError: the command cannot be used as it is.
        RuntimeError: it could not be brought to an end.
    """
    from . import api

    if args.follow:
        yield from _follow(args)
        return
    made = api.predict(args.model, args.input, args.output, overrides=args.overrides)
    reused = f" ({made.num_reused:,} of them before)" if made.num_reused else ""
    yield f"{made.num_rows:,} rows: {made.num_answered:,} answered{reused}{_aside(made.rejected)}"
    yield f"answers: {made.folder}"


def _follow(args: argparse.Namespace) -> Iterator[str]:
    from . import api

    if len(args.input) > 1:
        raise ConfigError(
            [f"--input: must be one glob with --follow; received {len(args.input)}; join them"],
            source="predict",
        )
    with _until_interrupted() as stop:
        followed = api.follow(
            args.model, args.input[0], args.output, stop=stop, overrides=args.overrides
        )
    yield f"{followed.num_lines:,} events read{_aside(followed.rejected)}"
    yield f"windows: {followed.folder}"


@contextmanager
def _until_interrupted() -> Iterator[threading.Event]:
    """Set by the first Ctrl-C, for no stream ends by itself; the second one is as ever."""
    stop = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def end(number: int, frame: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, end)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _aside(rejected: Mapping[str, int]) -> str:
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in rejected.items())
    return f", {sum(rejected.values()):,} set aside ({reasons})" if reasons else ""
