"""What a preflight found: the record, its JSON, and how it reads for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ....components import files
from .compiling import Compiled
from .roofline import LEAVES_OUT, Roofline

FORMAT = 3
_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class WidthResult:
    """The step on batches of one shape; the program that is compiled is that of all shapes."""

    width: int  # tokens
    global_batch_size: int
    per_replica_batch_size: int
    steps_per_epoch: int | None  # None: the data is not there yet
    compiled: Compiled
    prediction: Roofline | None  # None: it does not fit


@dataclass(frozen=True, kw_only=True)
class BatchSearch:
    """The largest batch of the widest shape."""

    largest_batch: int  # global; 0: not one row a replica fits
    smallest_refused: int | None
    num_compiles: int
    tried: tuple[tuple[int, int, bool], ...]  # global batch, peak bytes, fits


@dataclass(frozen=True, kw_only=True)
class Training:
    """What the config's training takes at the least, at the predicted speed."""

    num_steps: int  # of all epochs, or 1,000 where the data is not there yet
    epochs: int | None
    seconds: float
    cost_usd: float | None
    price_region: str | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """Everything that a preflight found."""

    name: str  # of the config
    chip: str  # the slice, e.g. v5e-8
    num_chips: int
    num_replicas: int
    precision: str
    model: Mapping[str, Any]  # `model_facts` of the config's model
    hbm_bytes: int  # that a program of one replica may use
    num_parameters: int
    gradient_bytes: int
    data: str  # where the sizes come from
    versions: Mapping[str, str]  # of the compiler
    widths: tuple[WidthResult, ...]  # narrowest first
    training: Training | None  # None: it does not fit
    search: BatchSearch | None

    @property
    def fits(self) -> bool:
        """Whether the step fits."""
        return self.widest.compiled.fits

    @property
    def widest(self) -> WidthResult:
        """The step on the widest batches."""
        return self.widths[-1]


def as_dict(result: Result) -> dict[str, Any]:
    """For programs. What stands at the top is of the widest batches, per replica."""
    compiled, prediction = result.widest.compiled, result.widest.prediction
    plain = asdict(result)
    return {
        "format": FORMAT,
        "fits": result.fits,
        "peak_bytes": compiled.peak_bytes,
        "argument_bytes": compiled.argument_bytes,
        "temporary_bytes": compiled.temporary_bytes,
        "flops_per_step": compiled.flops,
        "bytes_per_step": compiled.moved_bytes,
        "bound": prediction.bound if prediction else None,
        "step_time_s": prediction.step_time_s if prediction else None,
        "examples_per_s": prediction.examples_per_s if prediction else None,
        "compile_s": compiled.compile_s,
        "largest_batch": result.search.largest_batch if result.search else None,
        "unsupported_ops": list(unsupported_ops(result)),
        **plain,
    }


def dumps(result: Result) -> str:
    """As it is stored and printed."""
    return json.dumps(as_dict(result), indent=1, ensure_ascii=False) + "\n"


def load_result(path: str | Path) -> dict[str, Any]:
    """A stored result, `as_dict`.

    Raises:
        ValueError: it is none.
        OSError: it cannot be read.
    """
    facts = json.loads(files.read_bytes(str(path)))
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ValueError(
            f"path: must be what `tpuline preflight` stored, in format {FORMAT}; received {path}; "
            "run it again"
        )
    return facts


def model_facts(spec: Any) -> dict[str, Any]:
    """What of `train.model` decides the FLOPs of a step, beside sizes that a preset brings."""
    idle = ("preset", "remat", "dropout")
    return {name: value for name, value in asdict(spec).items() if name not in idle}


def model_flops(facts: Mapping[str, Any]) -> dict[int, float]:
    """FLOPs of the matrix products of a global batch, by width: what utilisation counts.

    `facts` is what `load_result` gives.
    """
    return {
        width["width"]: width["compiled"]["product_flops"] * facts["num_replicas"]
        for width in facts["widths"]
    }


def unsupported_ops(result: Result) -> tuple[str, ...]:
    """Of the step, once each."""
    return result.widest.compiled.unsupported_ops


def lines(result: Result) -> Iterator[str]:
    """For people."""
    yield (
        f"{result.name} on {result.chip} ({result.num_chips} chips, {result.num_replicas} "
        f"replicas), {result.precision}, {result.num_parameters:,} parameters"
    )
    yield f"sizes: {result.data}"
    yield from _program_lines(result)
    for width in result.widths:
        yield ""
        yield from _width_lines(width)
    yield ""
    yield from _training_lines(result)
    yield from _search_lines(result)
    verdict = "fits" if result.fits else "does not fit"
    if unsupported_ops(result):
        verdict = "does not compile for a TPU"
    yield f"verdict: {verdict}"


def _program_lines(result: Result) -> Iterator[str]:
    """Of the one program: memory, the largest arrays, the time to compile it."""
    compiled = result.widest.compiled
    if compiled.unsupported_ops:
        yield f"ops that do not lower: {', '.join(compiled.unsupported_ops)}"
        return
    margin = result.hbm_bytes - compiled.peak_bytes
    yield (
        f"memory   {'fits' if compiled.fits else 'DOES NOT FIT'}: {_gib(compiled.peak_bytes)} of "
        f"{_gib(result.hbm_bytes)}, {_gib(abs(margin))} {'to spare' if margin >= 0 else 'too many'}"
    )
    if compiled.fits:
        yield (
            f"         arguments {_gib(compiled.argument_bytes)}, temporaries "
            f"{_gib(compiled.temporary_bytes)}; of {_gib(compiled.output_bytes)} outputs "
            f"{_gib(compiled.alias_bytes)} take the place of arguments; the program itself "
            f"{_gib(compiled.code_bytes)}"
        )
    for buffer in compiled.buffers[:5]:
        yield f"         {_gib(buffer.size_bytes)}  {buffer.shape}  {buffer.name}"
    cached = ", kept from before" if compiled.from_cache else ""
    yield f"compile  {compiled.compile_s:.0f} s{cached}"


def _width_lines(width: WidthResult) -> Iterator[str]:
    yield (
        f"{width.global_batch_size} x {width.width} tokens, {width.per_replica_batch_size} rows a "
        f"replica"
    )
    if width.prediction is not None:
        yield from _speed_lines(width.compiled, width.prediction)


def _speed_lines(compiled: Compiled, prediction: Roofline) -> Iterator[str]:
    yield (
        f"  step     {_short((compiled.flops or 0) / 1e9)} GFLOP and "
        f"{_short((compiled.moved_bytes or 0) / 1e9)} GB {_where(compiled)} a replica: "
        f"{prediction.flops_per_byte:.0f} FLOP/byte, the chip's balance is "
        f"{prediction.balance_flops_per_byte:.0f}: {prediction.bound}-bound"
    )
    yield (
        f"           {_least(compiled)} {_ms(prediction.step_time_s)}: compute "
        f"{_ms(prediction.compute_s)}, memory {_ms(prediction.memory_s)}, then all-reduce "
        f"{_ms(prediction.all_reduce_s)}; {prediction.examples_per_s:,.0f} examples/s"
    )
    if compiled.loop_turns:
        turns = ", ".join(str(turn) for turn in compiled.loop_turns)
        yield (
            f"           loops of {turns} turns: their matrix products are counted every turn, "
            "their bytes once, and those that stay in vector memory as if they went to HBM"
        )
    if compiled.num_unknown_loops:
        yield (
            f"           {compiled.num_unknown_loops} loops of unknown length, counted once: the "
            "times are too low"
        )


def _where(compiled: Compiled) -> str:
    known = compiled.hbm_traffic_bytes is not None
    return "through HBM" if known else "in any memory (how many in HBM is not known)"


def _least(compiled: Compiled) -> str:
    """Bytes that may not reach HBM make no lower bound."""
    return "at least" if compiled.hbm_traffic_bytes is not None else "estimated"


def _training_lines(result: Result) -> Iterator[str]:
    training = result.training
    if training is None:
        return
    what = f"{training.epochs} epochs" if training.epochs else "of how many is not known yet"
    price = (
        f"USD {max(training.cost_usd, 0.01):.2f} at the price on demand in {training.price_region}"
        if training.cost_usd is not None
        else "no public price"
    )
    least = max((_least(width.compiled) for width in result.widths), key=len)
    yield (
        f"training {least} {_time(training.seconds)} for {training.num_steps:,} steps ({what}): "
        f"{price}"
    )
    yield f"         left out: {LEAVES_OUT}"


def _search_lines(result: Result) -> Iterator[str]:
    search = result.search
    if search is None:
        return
    refused = f", {search.smallest_refused:,} is refused" if search.smallest_refused else ""
    found = (
        f"global batch {search.largest_batch:,} ({search.largest_batch // result.num_replicas:,} "
        "rows a replica)"
        if search.largest_batch
        else "none: not even one row a replica fits"
    )
    yield f"largest  {found}{refused}; {search.num_compiles} compiles"


def _gib(num_bytes: int | None) -> str:
    size = num_bytes or 0
    return f"{size / _GIB:.2f} GiB" if size >= _GIB // 10 else f"{size / 2**20:.1f} MiB"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _time(seconds: float) -> str:
    return f"{seconds / 60:,.1f} min" if seconds >= 60 else f"{seconds:.1f} s"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"
