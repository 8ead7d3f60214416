"""`tpuline accept`, `promote` and `rollback`: their arguments, and what they do.

They run where nothing that trains is installed: see `serving`.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable
from dataclasses import asdict

from . import serving

Parser = argparse.ArgumentParser


def add_arguments(accept: Parser, promote: Parser, rollback: Parser) -> None:
    """What commands for whoever serves take."""
    for command in (accept, promote):
        command.add_argument("bundle", metavar="BUNDLE", help="its folder, e.g. runs/demo/handoff")
        command.add_argument(
            "--fingerprint",
            metavar="SHA256",
            help="of the bundle, as whoever handed it over sent it over a separate channel",
        )
    accept.add_argument(
        "--server",
        metavar="TARGET",
        help="ask a server that has loaded it, e.g. tf_serving+http://localhost:8501",
    )
    for command in (promote, rollback):
        command.add_argument(
            "served", metavar="SERVED", help="the folder that a model server reads: models.config"
        )
    promote.add_argument("--label", default="stable", help="stable or canary (default: stable)")
    rollback.add_argument("--model", metavar="NAME", help="where several are served")


def accept(args: argparse.Namespace) -> tuple[bool, Iterable[str]]:
    """Whether the bundle is accepted, and what is to be printed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    found = serving.accept(args.bundle, server=args.server, fingerprint=args.fingerprint)
    if args.json:
        return found.accepted, [json.dumps(asdict(found), indent=2)]
    return found.accepted, found.lines()


def promote(args: argparse.Namespace) -> Iterable[str]:
    """What is to be printed; errors as of `serving.promote`."""
    from ..components.serving.bundle import NOT_COMPARED

    switch = serving.promote(
        args.bundle, args.served, label=args.label, fingerprint=args.fingerprint
    )
    return [switch.line(), *([] if args.fingerprint else [NOT_COMPARED])]


def rollback(args: argparse.Namespace) -> str:
    """What is to be printed; errors as of `serving.rollback`."""
    return serving.rollback(args.served, model=args.model).line()
