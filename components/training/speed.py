"""How fast a training goes, and whether the input or the step sets the pace."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import keras
import tensorflow as tf

from ..contracts import InputVerdict
from .trainee import Trainee

_ENOUGH_SECONDS = 0.5
_ENOUGH_SECONDS_OF_INPUT = 2.0
_RECORDS_A_TURN = 64
_PROFILED_WINDOWS = 2
_KEPT = ("num_examples", "num_tokens", "num_positions", "seconds", "steps_by_width")
_INPUT_BOUND = 0.1  # of the time: more waiting than that is worth mending


class Speedometer(keras.callbacks.Callback):
    """Counts rows and tokens of training steps, and the time that they took.

    Validation and checkpoints are outside its clock, and so are windows that may compile: the
    first, and every one that meets a width for the first time.
    """

    def __init__(self, trainee: Trainee, num_widths: int) -> None:
        super().__init__()
        self._trainee = trainee
        self._met = [False] * num_widths
        self.num_examples = self.num_tokens = self.num_positions = 0.0
        self.seconds = 0.0
        self.steps_by_width = [0.0] * num_widths  # that the clock saw
        self.seconds_at_peak: Sequence[float] | None = None  # of a step, by width; where counted
        self.runs = False  # the clock, since something of this process did not compile
        self._lap = self._totals()

    def facts(self) -> dict[str, Any]:
        """What a later attempt needs, as JSON types."""
        return {name: getattr(self, name) for name in _KEPT}

    def restore(self, facts: dict[str, Any]) -> None:
        """Takes up what `facts` told."""
        for name in _KEPT:
            setattr(self, name, facts[name])
        self._lap = self._totals()

    @property
    def examples_per_s(self) -> float:
        """0.0 when every window was one that compiled."""
        return self.num_examples / self.seconds if self.seconds else 0.0

    @property
    def tokens_per_s(self) -> float:
        """As `examples_per_s`; padding is not counted."""
        return self.num_tokens / self.seconds if self.seconds else 0.0

    def lap(self) -> dict[str, float]:
        """Of the windows since the last call, by name; nothing when the clock stood still.

        `padding_share` is of the positions that were computed: rows that only fill up a batch are
        padding, too. `model_flops_utilisation` is there where somebody counted FLOPs.
        """
        before, self._lap = self._lap, self._totals()
        pairs = zip(self._lap, before, strict=True)
        seconds, examples, tokens, positions, *steps = (now - then for now, then in pairs)
        if not seconds:
            return {}
        told = {
            "examples_per_s": examples / seconds,
            "tokens_per_s": tokens / seconds,
            "padding_share": 1 - tokens / positions,
        }
        if self.seconds_at_peak is not None:
            at_peak = sum(n * each for n, each in zip(steps, self.seconds_at_peak, strict=True))
            told["model_flops_utilisation"] = at_peak / seconds
        return told

    def _totals(self) -> tuple[float, ...]:
        counted = self.num_examples, self.num_tokens, self.num_positions
        return self.seconds, *counted, *self.steps_by_width

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        steps = self._trainee.window.steps_by_width
        if not any(steps):
            return
        new = any(n and not met for n, met in zip(steps, self._met, strict=True))
        self._met = [met or n > 0 for n, met in zip(steps, self._met, strict=True)]
        if new:
            return
        self.runs = True
        self.seconds += self._trainee.window_seconds
        self.num_examples += self._trainee.window.rows
        self.num_tokens += self._trainee.window.tokens
        shapes = self._trainee.shapes
        self.num_positions += sum(
            n * rows * width for n, (rows, width) in zip(steps, shapes, strict=True)
        )
        pairs = zip(self.steps_by_width, steps, strict=True)
        self.steps_by_width = [a + b for a, b in pairs]


class Profiler(keras.callbacks.Callback):
    """Profiles two windows of steps that compile nothing; TensorBoard shows them.

    Under `folder`/plugins/profile; the tab needs the package tensorboard-plugin-profile.
    """

    def __init__(self, trainee: Trainee, speed: Speedometer, folder: Path) -> None:
        super().__init__()
        self._trainee, self._speed, self._folder = trainee, speed, folder
        self._left = _PROFILED_WINDOWS
        self._running = False

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self._left and self._speed.runs and not self._running:
            tf.profiler.experimental.start(str(self._folder))
            self._running = True

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self._running and self._trainee.window.rows:  # else left out, or done before
            self._left -= 1
            if not self._left:
                self.close()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.close()

    def close(self) -> None:
        """Writes the profile, if one is being taken."""
        if self._running:
            tf.profiler.experimental.stop()
            self._running, self._left = False, 0


@dataclass(frozen=True, kw_only=True)
class Alone:
    """The parts of the input that this host does, without devices."""

    records: Any  # serialised rows as they lie in the shards
    batches: Any  # as the devices get them; the last of a batch are the weights of its rows


def judge_input(
    trainee: Trainee,
    speed: Speedometer,
    repeated: Callable[[int], Any],
    alone: Callable[[], Alone] | None = None,
) -> InputVerdict | None:
    """Compares what the training took with the same steps on a batch that is at hand already.

    It trains on, so call it when the weights are kept. `repeated(i)` is an endless dataset of one
    batch of the i-th width, as `fit` takes it. `alone`, where this host alone makes the input, is
    timed to tell which part of it is the slowest. None when the clock saw no step.
    """
    if not speed.seconds:
        return None
    steps_s = 0.0
    for i, num_steps in enumerate(speed.steps_by_width):
        if num_steps:
            steps_s += num_steps * _seconds_a_step(trainee, iter(repeated(i)))
    wait_share = max(0.0, 1 - steps_s / speed.seconds)
    bound: Literal["input", "step"] = "input" if wait_share > _INPUT_BOUND else "step"
    verdict = InputVerdict(
        bound=bound,
        wait_share=wait_share,
        examples_per_s_without_input=speed.num_examples / steps_s,
    )
    return verdict if bound == "step" or alone is None else _with_slowest(verdict, alone())


def _with_slowest(verdict: InputVerdict, alone: Alone) -> InputVerdict:
    """Reading, if it takes half of what the host does; nothing of that, if it could keep up."""
    read = _examples_per_s(alone.records.batch(_RECORDS_A_TURN), len)
    parsed = _examples_per_s(alone.batches, lambda batch: int((batch[-1] > 0).sum()))
    if not read or not parsed:  # fewer rows than can be timed
        return verdict
    slowest: Literal["read", "parse", "feed"] = "read" if read < 2 * parsed else "parse"
    if parsed > verdict.examples_per_s_without_input:
        slowest = "feed"
    return replace(verdict, slowest=slowest, read_examples_per_s=read, parsed_examples_per_s=parsed)


def _examples_per_s(elements: Any, rows: Callable[[Any], int]) -> float:
    """After the first element, for which buffers are filled; of two seconds at the most."""
    iterator = elements.as_numpy_iterator()
    next(iterator, None)
    count, started = 0, time.perf_counter()
    for element in iterator:
        count += rows(element)
        if time.perf_counter() - started > _ENOUGH_SECONDS_OF_INPUT:
            break
    return count / max(time.perf_counter() - started, 1e-9)


def _seconds_a_step(trainee: Trainee, iterator: Any) -> float:
    trainee.run_steps(iterator, 1)  # fills what is repeated
    once = trainee.run_steps(iterator, 2) / 2
    num_steps = max(2, min(trainee.steps_per_execution, round(_ENOUGH_SECONDS / once)))
    return trainee.run_steps(iterator, num_steps) / num_steps
