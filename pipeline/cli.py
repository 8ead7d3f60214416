"""tpuline run | check | plan | show | doctor | ...: parses first, imports what is needed after.

`accept`, `promote` and `rollback` are for whoever serves: they run where nothing that trains is
installed.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from . import predict_command, serving_commands

Parser = argparse.ArgumentParser

DONE, FAILED, BAD_USAGE, REFUSED, INCOMPLETE = 0, 1, 2, 3, 4
EXIT_CODES = (
    "exit codes: 0 done, 1 failed, 2 the command, the config or a place cannot be used, 3 ran, and "
    "the answer is no (gates, does not fit, bundle rejected), 4 done, but a variant failed and was "
    "left out, 130 interrupted, 143 told to stop (SIGTERM) while training, checkpoint saved"
)


def parser() -> Parser:
    """The whole command line. Knobs belong into the config, not here."""
    top = argparse.ArgumentParser(
        prog="tpuline",
        description="Raw text to a judged SavedModel.",
        epilog=EXIT_CODES,
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    run = commands.add_parser("run", help="run a config; what is stored already is reused")
    check = commands.add_parser("check", help="find what is wrong with a config without running it")
    plan = commands.add_parser("plan", help="say what would run, what would be reused, and why")
    show = commands.add_parser("show", help="print the result of a run, or what stored data holds")
    compare = commands.add_parser("compare-data", help="say how far two sets of texts are apart")
    worker = commands.add_parser(
        "worker-files", help="write what Dataflow workers need: wheel, requirements, Dockerfile"
    )
    worker.add_argument("folder", metavar="DIR", help="where to write; made when it is not there")
    doctor = commands.add_parser(
        "doctor", help="say what this machine is, what is installed, and what is wrong with it"
    )
    doctor.add_argument(
        "config", metavar="CONFIG", nargs="?", help="also look for what this config needs"
    )
    _add_set(doctor, "change one value of the config")
    preflight = commands.add_parser(
        "preflight", help="compile the train step for a TPU, without one: does it fit, how fast"
    )
    accept = commands.add_parser(
        "accept", help="check a bundle that was handed over, and what it answers: accept or reject"
    )
    promote = commands.add_parser(
        "promote", help="put a bundle into a served folder and give it a label"
    )
    rollback = commands.add_parser("rollback", help="make stable what was stable before")
    predict = commands.add_parser(
        "predict", help="have a model answer the texts of files, one answer a row"
    )
    predict_command.add_arguments(predict)
    _add_set(predict, "change one setting, e.g. text_column=review or runner=processes")
    _add_config((run, check, plan, preflight), kept=(run, plan, preflight), until=(run, plan))
    _add_preflight(preflight)
    _add_data(show, compare)
    serving_commands.add_arguments(accept, promote, rollback)
    for command in (compare, doctor, preflight, accept):
        command.add_argument("--json", action="store_true", help="print JSON instead of lines")
    return top


def _add_config(
    commands: Sequence[Parser], *, kept: Sequence[Parser], until: Sequence[Parser]
) -> None:
    """What commands on a config take; `kept` are those whose artifacts lie somewhere."""
    for command in commands:
        command.add_argument("config", metavar="CONFIG", help="a YAML file, e.g. configs/demo.yaml")
        _add_set(command, "change one value of the config")
    for command in kept:
        command.add_argument(
            "--root",
            metavar="DIR",
            default="runs",
            help="where artifacts are kept: a folder, or gs://bucket/folder (default: runs)",
        )
    for command in until:
        command.add_argument("--until", metavar="STAGE", help="stop after this stage")


def _add_set(command: Parser, what: str) -> None:
    command.add_argument(
        "--set",
        metavar="A.B=C",
        action="append",
        default=[],
        dest="overrides",
        help=f"{what} (YAML); may be repeated",
    )


def _add_preflight(preflight: Parser) -> None:
    preflight.add_argument(
        "--chip", metavar="SLICE", required=True, help="kind of TPU and how many, e.g. v5e-8"
    )
    preflight.add_argument(
        "--find-batch",
        action="store_true",
        help="also find the largest global batch that fits; compiles several times",
    )


def _add_data(show: Parser, compare: Parser) -> None:
    """What commands on stored data take."""
    show.add_argument(
        "path",
        metavar="PATH",
        help="the folder of a run: <root>/<config name>, or data: <root>/preprocess/<key>, or a "
        "shard in it",
    )
    show.add_argument(
        "--examples",
        metavar="N",
        type=int,
        default=3,
        help="how many rows of the data to print (default: 3)",
    )
    compare.add_argument(
        "a", metavar="A", help="the data of a run: <root>/<config name> or <root>/preprocess/<key>"
    )
    compare.add_argument(
        "b", metavar="B", help="the same, or a file of texts, e.g. a log of requests"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    args = parser().parse_args(argv)
    from .errors import ConfigError

    command = {
        "run": _run, "check": _check, "plan": _plan, "show": _show, "compare-data": _compare,
        "worker-files": _worker_files, "doctor": _doctor, "preflight": _preflight,
        "accept": _accept, "promote": _promote, "rollback": _rollback,
        "predict": _predict,
    }[args.command]  # fmt: skip
    try:
        code = command(args)
        sys.stdout.flush()
        return code
    except ConfigError as error:
        print(f"tpuline: {error}", file=sys.stderr)
        return BAD_USAGE
    except BrokenPipeError:  # the reader of a pipe has seen enough: `tpuline show RUN | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        print("tpuline: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _run(args: argparse.Namespace) -> int:
    from . import api, report

    result = api.run(api.load(args.config, args.overrides), root=args.root, until=args.until)
    if result.error is not None:
        print(f"tpuline: {result.error}", file=sys.stderr)
    if result.reported:
        for line in report.summary_lines(api.read_report(result.folder)):
            print(line)
        print(f"report: {result.place}/report.html")
        handoff = result.artifacts.get("handoff")
        if handoff is not None and handoff.bundle_dir is not None:
            print(f"bundle: {result.place}/handoff")
    for lost in result.failed_variants:
        where = f" in {lost.stage}" if lost.stage else ""
        print(f"tpuline: variant {lost.name} failed{where}: {lost.reason}", file=sys.stderr)
    if result.status in ("failed", "refused"):
        return FAILED if result.status == "failed" else REFUSED
    return INCOMPLETE if result.failed_variants else DONE


def _check(args: argparse.Namespace) -> int:
    from . import config

    loaded = config.load(args.config, args.overrides)
    config.check(loaded)
    print(f"{args.config}: nothing wrong found")
    return DONE


def _plan(args: argparse.Namespace) -> int:
    from . import api

    config = api.load(args.config, args.overrides)
    for step in api.plan(config, root=args.root, until=args.until):
        what = "reuse" if step.reason is None else f"run    {step.reason}"
        print(f"{step.stage:<11} {step.key}  {what}")
    return DONE


def _show(args: argparse.Namespace) -> int:
    from . import api, report, show_data

    with _bad_usage("show"):
        if show_data.is_data(args.path):
            lines = list(show_data.lines(args.path, num_examples=args.examples))
        else:
            lines = report.summary_lines(api.read_report(args.path))
    for line in lines:
        print(line)
    return DONE


def _compare(args: argparse.Namespace) -> int:
    from . import compare

    with _bad_usage("compare-data"):
        comparison = compare.compare_data(args.a, args.b)
    if args.json:
        print(compare.dumps(comparison))
        return DONE
    for line in compare.lines(comparison):
        print(line)
    return DONE


def _worker_files(args: argparse.Namespace) -> int:
    from . import api

    for path in api.write_worker_files(args.folder):
        print(path)
    return DONE


def _doctor(args: argparse.Namespace) -> int:
    import json

    from . import config
    from .errors import ConfigError
    from .hardware import doctor

    if args.overrides and not args.config:
        problem = "--set: changes a value of CONFIG; received no CONFIG; name it before --set"
        raise ConfigError([problem], source="doctor")
    wanted = config.load(args.config, args.overrides) if args.config else None
    changes = [word for change in args.overrides for word in ("--set", shlex.quote(change))]
    given = " ".join([args.config, *changes]) if args.config else ""
    diagnosis = doctor.examine(doctor.World(), wanted, config_path=given)
    if args.json:
        print(json.dumps(doctor.as_dict(diagnosis), indent=2, ensure_ascii=False))
    else:
        for line in doctor.lines(diagnosis):
            print(line)
    return DONE if diagnosis.ok else FAILED


def _preflight(args: argparse.Namespace) -> int:
    from . import api
    from .hardware.preflight import result as results

    config = api.load(args.config, args.overrides)
    try:
        result = api.preflight(config, chip=args.chip, root=args.root, find_batch=args.find_batch)
    except RuntimeError as error:
        print(f"tpuline: {error}", file=sys.stderr)
        return FAILED
    if args.json:
        print(results.dumps(result), end="")
    else:
        for line in results.lines(result):
            print(line)
    return DONE if result.fits else REFUSED


def _accept(args: argparse.Namespace) -> int:
    with _bad_usage("accept"):
        accepted, lines = serving_commands.accept(args)
    for line in lines:
        print(line)
    return DONE if accepted else REFUSED


def _promote(args: argparse.Namespace) -> int:
    from ..components.serving.bundle import BundleError

    with _bad_usage("promote"):
        try:
            for line in serving_commands.promote(args):
                print(line)
        except BundleError as error:
            print(f"tpuline: {error}", file=sys.stderr)
            return REFUSED
    return DONE


def _rollback(args: argparse.Namespace) -> int:
    with _bad_usage("rollback"):
        print(serving_commands.rollback(args))
    return DONE


@contextmanager
def _bad_usage(command: str) -> Iterator[None]:
    """What cannot be done as it was asked, as the command line tells it."""
    from .errors import ConfigError

    try:
        yield
    except (ValueError, OSError) as error:
        raise ConfigError([str(error)], source=command) from error


def _predict(args: argparse.Namespace) -> int:
    from ..components.prediction.config import TooManyRejects

    try:
        for line in predict_command.run(args):
            print(line)
    except RuntimeError as error:
        print(f"tpuline: {error}", file=sys.stderr)
        return FAILED
    except TooManyRejects as error:
        print(f"tpuline: {error}", file=sys.stderr)
        return REFUSED
    return DONE


if __name__ == "__main__":
    sys.exit(main())
