"""RunConfig and a slice -> Result: lowers the train step, compiles it for the chip, predicts.

Needs no TPU. Two processes do the work: one with TensorFlow lowers, one with libtpu compiles.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ....components.child_process import run_child
from ....components.contracts import ShardSet
from ....components.stage import Log
from .. import chips
from ..precision import resolve_precision
from . import data_sizes, lowering, refusal
from .buffers import Buffer
from .compiling import Compiled, Compiler, Counted, compiler
from .environment import lowering_environ
from .result import BatchSearch, Result, Training, WidthResult, model_facts
from .roofline import cost_usd, roofline
from .search import Tried, largest_batch

if TYPE_CHECKING:
    from ...config import RunConfig

MAX_ROWS_A_REPLICA = 1 << 16
"""Of a search: where memory hardly grows with the batch, it is not the limit."""
_STEPS = 1_000
"""That time and cost are told for while the data is not there."""


def preflight(
    config: RunConfig, *, chip: str, shards: ShardSet | None, find_batch: bool, log: Log
) -> Result:
    """Compiles the config's train step for a slice, all its shapes in one program; minutes a shape.

    Args:
        shards: what the config's `preprocess` made; None takes the sizes from the config.
        find_batch: also searches the largest global batch, by up to `search.MAX_COMPILES` compiles.

    Raises:
        ValueError: no such chip, a batch that its replicas cannot share, sizes that are not known.
        RuntimeError: the environment cannot be made, or lowering or compiling failed.
    """
    target = chips.parse(chip)
    precision = resolve_precision(config.hardware.precision, strategy="tpu")
    _check(config, target)
    data = shards or data_sizes.stand_in(config)
    if not target.chip.runs_tensorflow:
        log.warning(f"{target.name}: TensorFlow does not run on {target.chip.name} so far")
    compile_with = compiler(log)
    work = _Work(config, data, precision, target, compile_with, log)
    lowered, widths = work.widths(config, known_rows=shards is not None)
    return Result(
        name=config.name,
        chip=target.name,
        num_chips=target.num_chips,
        num_replicas=target.num_replicas,
        precision=precision,
        model=model_facts(config.sections["train"].model),
        hbm_bytes=target.chip.usable_hbm_bytes,
        num_parameters=lowered.num_parameters,
        gradient_bytes=lowered.gradient_bytes,
        data="the shards of preprocess" if shards else "the config; the data is not there yet",
        versions=compile_with.versions,
        widths=widths,
        training=_training(config, target, widths),
        search=work.search(widths) if find_batch else None,
    )


class _Work:
    """One config on one slice; the batch may vary."""

    def __init__(
        self,
        config: RunConfig,
        data: ShardSet,
        precision: str,
        target: chips.Slice,
        compile_with: Compiler,
        log: Log,
    ) -> None:
        self.config, self.data, self.precision = config, data, precision
        self.target, self.compiler, self.log = target, compile_with, log

    def widths(
        self, config: RunConfig, *, known_rows: bool = False
    ) -> tuple[lowering.Lowered, tuple[WidthResult, ...]]:
        """Lowers and compiles the step."""
        with tempfile.TemporaryDirectory(prefix="tpuline-preflight-") as folder:
            lowered = self._lower(config, folder)
            compiled = self._compile(lowered, Path(folder))
        results = (
            self._result(program, found, lowered.gradient_bytes, known_rows)
            for program, found in zip(lowered.programs, compiled, strict=True)
        )
        return lowered, tuple(results)

    def search(self, widths: Sequence[WidthResult]) -> BatchSearch:
        """The largest batch of the widest shape, with what the others take beside it."""
        widest = widths[-1]
        if widest.compiled.unsupported_ops:
            return BatchSearch(largest_batch=0, smallest_refused=None, num_compiles=0, tried=())
        parts = _parts(self.config, self.target)
        found = largest_batch(
            self._try,
            step=parts,
            known=(_tried(widest),),
            usable_bytes=self.target.chip.usable_hbm_bytes,
            limit=MAX_ROWS_A_REPLICA * self.target.num_replicas,
        )
        return BatchSearch(
            largest_batch=found.largest,
            smallest_refused=found.refused,
            num_compiles=len(found.tried),
            tried=tuple((t.global_batch_size, t.peak_bytes, t.fits) for t in found.tried),
        )

    def _try(self, global_batch_size: int) -> Tried:
        train = replace(self.config.sections["train"], global_batch_size=global_batch_size)
        config = replace(self.config, sections={**self.config.sections, "train": train})
        tried = _tried(self.widths(config)[1][-1])
        self.log.info(
            f"global batch {global_batch_size:,}: {'fits' if tried.fits else 'does not fit'}, "
            f"{tried.peak_bytes / 2**30:.2f} GiB"
        )
        return tried

    def _lower(self, config: RunConfig, folder: str) -> lowering.Lowered:
        request = lowering.Request(
            config=config,
            shards=self.data,
            precision=self.precision,
            num_replicas=self.target.num_replicas,
            folder=folder,
        )
        # -P: a folder named like one of our modules in the working directory must not be imported.
        run_child(
            [sys.executable, "-P", "-m", lowering.__name__],
            task="lowering the train step",
            log=self.log,
            given=pickle.dumps(request),
            environ=lowering_environ(os.environ, self.log),
        )
        return lowering.read(Path(folder))

    def _compile(self, lowered: lowering.Lowered, folder: Path) -> tuple[Compiled, ...]:
        if lowered.refusal is not None:
            return (_not_lowered(lowered.refusal),) * len(lowered.programs)
        shapes = (f"{p.per_replica_batch_size} x {p.width}" for p in lowered.programs)
        found = self.compiler.compile(
            (folder / lowered.file).read_bytes(),
            self.target,
            counted=[
                Counted(
                    step=(folder / program.file).read_bytes(),
                    model=(folder / program.model_file).read_bytes(),
                )
                for program in lowered.programs
            ],
            task=f"compiling {', '.join(shapes)} for {self.target.chip.name}",
            log=self.log,
        )
        buffers = tuple(_named(buffer, lowered.inputs) for buffer in found[0].buffers)
        return tuple(replace(compiled, buffers=buffers) for compiled in found)

    def _result(
        self,
        program: lowering.Program,
        compiled: Compiled,
        gradient_bytes: int,
        known_rows: bool,
    ) -> WidthResult:
        prediction = None
        if compiled.flops is not None and compiled.moved_bytes is not None:
            prediction = roofline(
                self.target,
                flops=compiled.flops,
                moved_bytes=compiled.moved_bytes,
                gradient_bytes=gradient_bytes,
                global_batch_size=program.global_batch_size,
            )
        return WidthResult(
            width=program.width,
            global_batch_size=program.global_batch_size,
            per_replica_batch_size=program.per_replica_batch_size,
            steps_per_epoch=program.steps_per_epoch if known_rows else None,
            compiled=compiled,
            prediction=prediction,
        )


def _check(config: RunConfig, target: chips.Slice) -> None:
    train, replicas = config.sections["train"], config.hardware.replicas
    if config.hardware.strategy == "tpu" and replicas not in (None, target.num_replicas):
        raise ValueError(
            f"hardware.replicas: must be null or {target.num_replicas}, the replicas of "
            f"{target.name}; received {replicas}; set it to null"
        )
    parts = _parts(config, target)
    if train.global_batch_size % parts:
        raise ValueError(
            f"train.global_batch_size: must be a multiple of {parts}, the replicas of "
            f"{target.name} times train.accumulate_steps; received {train.global_batch_size}; e.g. "
            f"{parts * max(1, train.global_batch_size // parts)}"
        )


def _parts(config: RunConfig, target: chips.Slice) -> int:
    return target.num_replicas * int(config.sections["train"].accumulate_steps)


def _training(
    config: RunConfig, target: chips.Slice, widths: tuple[WidthResult, ...]
) -> Training | None:
    """Of all epochs, none stopped early; of 1,000 of the widest steps while the data is unknown."""
    if any(width.prediction is None for width in widths):
        return None
    epochs: int | None = config.sections["train"].epochs
    steps = [(width.steps_per_epoch, width.prediction.step_time_s) for width in widths]  # type: ignore[union-attr]
    if any(number is None for number, _ in steps):
        epochs, steps = None, [(_STEPS, steps[-1][1])]
    seconds = sum((number or 0) * step_s for number, step_s in steps) * (epochs or 1)
    return Training(
        num_steps=sum(number or 0 for number, _ in steps) * (epochs or 1),
        epochs=epochs,
        seconds=seconds,
        cost_usd=cost_usd(target, seconds),
        price_region=target.chip.price_region,
    )


def _tried(width: WidthResult) -> Tried:
    return Tried(
        global_batch_size=width.global_batch_size,
        peak_bytes=width.compiled.peak_bytes,
        fits=width.compiled.fits,
    )


def _named(buffer: Buffer, inputs: Sequence[tuple[str, tuple[int, ...]]]) -> Buffer:
    """Parameters of the program under the names of the weights that they are."""
    number = buffer.name.removeprefix("parameter ")
    if not number.isdecimal() or int(number) >= len(inputs):
        return buffer
    name, shape = inputs[int(number)]
    dims = ",".join(str(side) for side in shape)
    return replace(buffer, name=name) if name and f"[{dims}]" in buffer.shape else buffer


def _not_lowered(reason: str) -> Compiled:
    """TensorFlow's own refusal; `RuntimeError` when it is not about an op without XLA."""
    ops = refusal.not_lowered(reason)
    if not ops:
        raise RuntimeError(f"the train step cannot be lowered: {reason}")
    return Compiled(
        fits=False, peak_bytes=0, argument_bytes=None, temporary_bytes=None, output_bytes=None,
        alias_bytes=None, code_bytes=None, flops=None, product_flops=0.0, bytes_accessed=None,
        hbm_traffic_bytes=None, loop_turns=(), num_unknown_loops=0, buffers=(), unsupported_ops=ops,
        refusal=reason, compile_s=0.0, from_cache=False,
    )  # fmt: skip
