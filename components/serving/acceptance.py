"""A bundle, and maybe the server that runs it -> accept or reject, with reasons.

What a serving team runs before it trusts a model: needs what serving needs, nothing that trains.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..child_process import ask_child
from . import answering, bundle, documents, samples, targets
from .agreement import Answer, Rule, difference
from .bundle import Bundle, BundleError
from .verdict import Acceptance, Check

LOAD_REQUESTS, WARM_UP_REQUESTS = 200, 20
"""Of the short load test, one text each; and before it, not timed."""

MAX_LOAD_S = 20.0

LIMIT_S = 1800.0
"""Of everything, in process: a model that hangs is rejected, too."""

MUST_PASS = ("evaluation", "ops")
"""Before the model is loaded at all."""


def accept(
    folder: str | Path, *, server: str | None = None, fingerprint: str | None = None
) -> Acceptance:
    """Checks every file, then asks the model: in a fresh process, or the `server` that has it (as
    `targets.parse` reads it; without an address one is started). Nothing of a bundle is loaded that
    is not whole.

    Raises:
        ValueError: `server` names no target, or there is no such folder.
    """
    parsed = targets.parse(server or targets.IN_PROCESS)
    if not Path(folder).is_dir():
        raise ValueError(
            f"BUNDLE: must be the folder of a bundle; received {bundle.printable(str(folder))}, "
            "which is no folder; a run leaves it at <root>/<config name>/handoff"
        )
    try:
        opened = bundle.read(folder, fingerprint=fingerprint)
    except BundleError as error:
        failed = Check(name="files", passed=False, message=str(error))
        return Acceptance(
            accepted=False,
            bundle=str(folder),
            target=parsed.name,
            name="",
            version=0,
            fingerprint="",
            checks=(failed,),
        )
    if parsed.server == targets.IN_PROCESS:
        checks = _in_a_fresh_process(opened)
    else:
        with ExitStack() as stack:
            checks = tuple(examine(opened, parsed, stack))
    told = (_not_compared(),) if fingerprint is None else ()
    return Acceptance(
        accepted=bool(checks) and all(check.passed is not False for check in checks),
        bundle=str(folder),
        target=parsed.name,
        name=opened.name,
        version=opened.version,
        fingerprint=opened.fingerprint,
        checks=(*checks, *told),
    )


def _not_compared() -> Check:
    return Check(name="fingerprint", passed=None, message=bundle.NOT_COMPARED)


def _in_a_fresh_process(opened: Bundle) -> tuple[Check, ...]:
    """As a server is: memory and cold start are those of the model alone, and one that ends the
    process that loads it is rejected."""
    try:
        found = ask_child(
            f"{__package__}.acceptance_child",
            {"bundle": str(opened.folder), "fingerprint": opened.fingerprint},
            task="accept",
            on_line=lambda line: None,
            environ={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            timeout_s=LIMIT_S,
        )
    except (RuntimeError, OSError, ValueError) as error:  # it ended, or left no answer
        return (Check(name="load", passed=False, message=" ".join(str(error).split())[-500:]),)
    return tuple(Check(**check) for check in found["checks"])


def examine(opened: Bundle, target: targets.Target, stack: ExitStack) -> Iterator[Check]:
    """What cannot go on ends the list; what only fails does not. The stack holds what must be
    ended after it."""
    for name, look in _Examination(opened, target, stack).steps():
        checks: list[Check] = []
        try:
            for check in look():
                checks.append(check)
                yield check
        except BundleError as error:
            yield Check(name=name, passed=False, message=str(error))
            return
        except Exception as error:  # whatever a model or a server raises, it is a reason
            what = " ".join(str(error).split())[:500]
            yield Check(name=name, passed=False, message=f"{type(error).__name__}: {what}")
            return
        if name in MUST_PASS and not all(check.passed for check in checks):
            return


class _Examination:
    """One bundle and what answers for it."""

    def __init__(self, opened: Bundle, target: targets.Target, stack: ExitStack) -> None:
        self._bundle, self._target, self._stack = opened, target, stack
        self._in_process = target.server == targets.IN_PROCESS
        self._model: Any = None

    def steps(self) -> Iterator[tuple[str, Callable[[], Iterator[Check]]]]:
        """Name and what to look at, in this order."""
        yield "files", self._files
        yield "evaluation", self._evaluation
        yield "ops", self._ops
        if self._in_process:
            yield "versions", self._versions
        yield "load", self._load
        if self._in_process:  # first: what the samples let compile would count for nothing
            yield "warm-up", self._warm_up
        yield "samples", self._replay
        yield "latency", self._latency
        if self._in_process:
            yield "memory", self._memory
        else:
            yield "promises", self._not_judged

    def _files(self) -> Iterator[Check]:
        """Their bytes were checked when the bundle was read; here, that they tell something."""
        self._told = documents.read(self._bundle)
        self._samples, self._slo = self._told.samples, self._told.promises
        number = sum(path.is_file() for path in self._bundle.folder.rglob("*"))
        yield Check(name="files", passed=True, message=f"{number} files, each as handed over")

    def _ops(self) -> Iterator[Check]:
        """Before anything is loaded that could run them."""
        from .servable_ops import problems, release

        folder, rest = self._bundle.model_dir, ""
        if not (folder / "saved_model.pb").is_file():
            folder = folder / answering.TOKENIZER_DIR
            rest = (
                "; these are the tokenizer's: what the other part, which is "
                f"{self._bundle.format!a}, does was not looked at"
            )
        found = problems(folder)
        told = "; ".join(found) or (
            f"all are of {release()} or TF Text, and none reaches for files or ends the process"
        )
        yield Check(name="ops", passed=not found, message=told + rest)

    def _evaluation(self) -> Iterator[Check]:
        """The marker is no proof: the gates that it stands for must have passed."""
        judged = self._told.judgement
        value, low, high = judged.accuracy
        told = (
            f"accuracy {value:.3f} [{low:.3f}, {high:.3f}] on {judged.num_examples:,} rows, "
            f"{judged.num_gates} gates passed"
        )
        if not judged.blessed:
            told = f"the gates refused it: {'; '.join(judged.refusals) or 'they do not say why'}"
        yield Check(name="evaluation", passed=judged.blessed, message=told)

    def _versions(self) -> Iterator[Check]:
        """Another version is told, not refused: the answers decide."""
        from ..wheels import installed_version, tensorflow_version

        others = []
        for name, made_with in self._told.versions:
            here = tensorflow_version() if name == "tensorflow" else installed_version(name)
            if here != made_with:
                others.append(f"{name} {here or 'missing'}, made with {made_with}")
        yield Check(
            name="versions", passed=True, message="; ".join(others) or "as it was made with"
        )

    def _load(self) -> Iterator[Check]:
        if not self._in_process:
            place = self._place()
            opened = self._bundle
            made = targets.connect(place, model=opened.name, version=opened.version)
            self._model = self._stack.enter_context(made)
            self._ask(range(1))
            yield Check(name="load", passed=True, message=f"{place.name} answers")
            return
        import tensorflow_text  # noqa: F401  what a server has imported long before

        started = time.perf_counter()
        self._model = answering.load(self._bundle.model_dir)
        self._ask(range(1))
        cold_start_s = time.perf_counter() - started
        yield self._promised("load", "cold start", cold_start_s, "max_cold_start_s", "s")

    def _place(self) -> targets.Target:
        """Where to ask; a server without an address is started for a while."""
        from .servers import starting, tf_serving, triton

        started = triton.kind(os.environ, _Printed(), max_batch_size=64, max_delay_us=0)
        kinds: dict[str, starting.Kind] = {"tf_serving": tf_serving.command, "triton": started}
        servers = self._stack.enter_context(starting.Servers(kinds))
        folder = self._bundle.model_dir
        return servers.place(self._target, folder, self._bundle.name).target

    def _replay(self) -> Iterator[Check]:
        """Every sample alone, as it was asked when it was written."""
        answers = [_answer(self._ask([row])) for row in range(len(self._samples))]
        opened = self._bundle
        rule = Rule(
            tolerance=opened.tolerance,
            threshold=opened.threshold,
            thresholds=opened.thresholds,
            label_names=opened.label_names,
            label_separator=opened.label_separator,
        )
        wrong = samples.disagreements(self._samples, answers, rule)
        apart = max(difference(a, self._samples.expected(row)) for row, a in enumerate(answers))
        message = (
            f"{len(answers)} answered as expected, to {apart:.1e} ({rule.tolerance:g} allowed)"
        )
        if wrong:
            row, problem = wrong[0]
            message = (
                f"{len(wrong)} of {len(answers)} are answered otherwise; the first is row {row}: "
                f"{problem}"
            )
        yield Check(name="samples", passed=not wrong, message=message)
        labels = [answer.label.decode() for answer in answers]
        accuracy = samples.accuracy(self._samples, labels)
        if accuracy is not None:
            yield self._promised("accuracy", "on the samples", accuracy, "min_accuracy", "")

    def _warm_up(self) -> Iterator[Check]:
        file = self._bundle.model_dir / bundle.WARMUP_FILE
        if not file.is_file():
            if (bound := self._slo.get("max_warm_up_s")) is not None:
                message = f"no requests to replay: max_warm_up_s {bound:g} is not judged"
                yield Check(name="warm-up", passed=None, message=message)
            return
        from . import warmup

        started = time.perf_counter()
        number = warmup.replay(file, self._model)
        took = time.perf_counter() - started
        yield self._promised("warm-up", f"{number} requests in", took, "max_warm_up_s", "s")

    def _latency(self) -> Iterator[Check]:
        """One text at a time, the next when the last is answered."""
        import numpy as np

        times_ms: list[float] = []
        until = time.monotonic() + MAX_LOAD_S
        for request in range(WARM_UP_REQUESTS + LOAD_REQUESTS):
            started = time.perf_counter()
            self._ask([request % len(self._samples)])
            times_ms.append((time.perf_counter() - started) * 1000)
            if time.monotonic() > until and request > 2 * WARM_UP_REQUESTS:
                break
        p50, p99 = np.percentile(times_ms[WARM_UP_REQUESTS:], [50, 99])
        what = f"p50 {p50:.2f} ms, {len(times_ms) - WARM_UP_REQUESTS} requests, p99"
        yield self._promised("latency", what, float(p99), "max_p99_ms", "ms")

    def _memory(self) -> Iterator[Check]:
        from .memory import peak_memory_bytes

        peak_mb = peak_memory_bytes() / 1e6
        yield self._promised("memory", "at most", peak_mb, "max_memory_mb", "MB")

    def _not_judged(self) -> Iterator[Check]:
        """What a server does not tell of the process that it runs the model in."""
        names = ("max_cold_start_s", "max_warm_up_s", "max_memory_mb")
        named = [name for name in names if self._slo.get(name) is not None]
        if named:
            told = ", ".join(f"{name} {self._slo[name]:g}" for name in named)
            message = f"{told}: not judged over a server; accept without --server judges them"
            yield Check(name="promises", passed=None, message=message)

    def _promised(self, name: str, what: str, value: float, promise: str, unit: str) -> Check:
        """Against a promise, where one was made."""
        bound = self._slo.get(promise)
        told = f"{what} {value:.3g} {unit}".rstrip()
        if bound is None:
            return Check(name=name, passed=True, message=f"{told} (nothing promised)")
        passed = value >= bound if promise.startswith("min") else value <= bound
        return Check(
            name=name, passed=passed, message=f"{told} ({promise} {bound:g} {unit}".rstrip() + ")"
        )

    def _ask(self, rows: Sequence[int]) -> dict[str, Any]:
        columns = [[column[row] for row in rows] for column in self._samples.columns]
        answer: dict[str, Any] = self._model.texts(columns)
        return answer


class _Printed:
    """What takes long, on standard error: standard output is the verdict's."""

    def info(self, message: str, **facts: Any) -> None:
        print(message, file=sys.stderr)

    def warning(self, message: str, **facts: Any) -> None:
        print(message, file=sys.stderr)

    def progress(self, task: str, completed: float, total: float | None, note: str = "") -> None:
        pass


def _answer(outputs: dict[str, Any]) -> Answer:
    several = answering.LABELS_ON in outputs
    return Answer(
        label=outputs[answering.LABEL][0],
        score=float(outputs[answering.SCORE][0]),
        probabilities=outputs[answering.PROBABILITIES][0].tolist(),
        labels_on=outputs[answering.LABELS_ON][0].tolist() if several else None,
    )
