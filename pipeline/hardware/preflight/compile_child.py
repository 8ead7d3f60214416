"""JSON request on standard input -> JSON file: a StableHLO program compiled for a TPU.

    ~/.cache/tpuline/preflight-.../bin/python compile_child.py < request.json

Runs in an environment of its own that has jax and libtpu and nothing of this project, hence one
file that imports nothing of it. All private names of jax that preflight needs stand here; they are
those of jax 0.10.2. No TPU is needed, and none that is here is touched.

Request: `program_file` (a StableHLO module as bytecode or text), `counted_files` (others, only to
count their matrix products), `topology` ("v5e:2x4"), `chip_config`, `result_file`, `text_file`.

Result: `compiled`, `refusal` (the compiler's words, or null), `compile_s`, sizes in bytes, costs of
a step, `loops` of each counted file. What was compiled comes into `text_file`, as HLO; the file is
empty where that cannot be read.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VERSION = 3
"""Of what the result says: another one makes the results in the cache useless."""

_WORLD = {
    "JAX_PLATFORMS": "cpu",  # jax itself is to look for no device
    "TPU_SKIP_MDS_QUERY": "1",  # nor libtpu for the machine's metadata
    "TPU_ACCELERATOR_TYPE": "v5litepod-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # the lock file is for those that take the TPU
    "TF_CPP_MIN_LOG_LEVEL": "2",
}


def main() -> None:
    request = json.load(sys.stdin)
    os.environ.update(_WORLD)
    result, text = compile_program(
        Path(request["program_file"]).read_bytes(),
        [Path(file).read_bytes() for file in request["counted_files"]],
        request["topology"],
        request["chip_config"],
    )
    Path(request["text_file"]).write_text(text, encoding="utf-8")
    Path(request["result_file"]).write_text(json.dumps(result), encoding="utf-8")


def compile_program(
    program: bytes, counted: list[bytes], topology: str, chip_config: str
) -> tuple[dict[str, Any], str]:
    """What the compiler says of a program for one replica of a slice, and what it made of it."""
    from jax._src.interpreters import mlir  # type: ignore[import-not-found]
    from jax._src.lib import xla_client  # type: ignore[import-not-found]
    from jax._src.lib.mlir import ir  # type: ignore[import-not-found]
    from jax.experimental import topologies  # type: ignore[import-not-found]

    described = topologies.get_topology_desc(
        platform="tpu", topology_name=topology, chip_config_name=chip_config
    )
    device = described.devices[0]
    with mlir.make_ir_context():
        module = ir.Module.parse(program)
        _replace_copies(module, ir)
        _replace_random_bits(module, ir)
        loops = [loop_costs(ir.Module.parse(each)) for each in counted]
        facts: dict[str, Any] = {"loops": loops}
        started = time.perf_counter()
        try:
            executable = device.client.compile(
                module,
                executable_devices=xla_client.DeviceList((device,)),
                compile_options=_options(xla_client, device),
            )
        except xla_client.XlaRuntimeError as error:
            return facts | _outcome(started, refusal=str(error)), ""
    facts |= _outcome(started, refusal=None) | _sizes_and_costs(executable)
    try:
        return facts, executable.hlo_modules()[0].to_string()
    except xla_client.XlaRuntimeError:  # jaxlib does not read all that libtpu makes for v6e
        return facts, ""


def _outcome(started: float, *, refusal: str | None) -> dict[str, Any]:
    seconds = time.perf_counter() - started
    return {"compiled": refusal is None, "refusal": refusal, "compile_s": seconds}


def _options(xla_client: Any, device: Any) -> Any:
    import numpy as np

    options = xla_client.CompileOptions()
    options.num_replicas = options.num_partitions = 1
    options.device_assignment = xla_client.DeviceAssignment.create(
        np.array([[device.id]], np.int32)
    )
    return options


def _sizes_and_costs(executable: Any) -> dict[str, Any]:
    sizes, costs = executable.get_compiled_memory_stats(), executable.cost_analysis()
    return {
        "argument_bytes": sizes.argument_size_in_bytes,
        "output_bytes": sizes.output_size_in_bytes,
        "alias_bytes": sizes.alias_size_in_bytes,
        "temporary_bytes": sizes.temp_size_in_bytes,
        "code_bytes": sizes.generated_code_size_in_bytes,
        "flops": costs.get("flops", 0.0),
        "bytes_accessed": costs.get("bytes accessed", 0.0),
        "transcendentals": costs.get("transcendentals", 0.0),
    }


def _replace_copies(module: Any, ir: Any) -> None:
    """TensorFlow writes mhlo.copy, which the compiler refuses; a barrier means the same to it."""
    for op in [op for op in _operations(module.operation) if op.name == "mhlo.copy"]:
        barrier = ir.Operation.create(
            "stablehlo.optimization_barrier",
            results=[result.type for result in op.results],
            operands=list(op.operands),
            ip=ir.InsertionPoint(op),
            loc=op.location,
        )
        for old, new in zip(op.results, barrier.results, strict=True):
            old.replace_all_uses_with(new)
        op.erase()


def _replace_random_bits(module: Any, ir: Any) -> None:
    """Random bits as TensorFlow makes them on a TPU: by the chip's own generator.

    On a CPU it lowers them to Philox, of a scrambled key; elsewhere the seed is the key
    (`DefaultRngAlgForDeviceType`, tensorflow/compiler/tf2xla/kernels/rng_converter_utils.cc).
    Philox would be expanded into hundreds of operations for each dropout. Where the seed is not
    found, bits are left as they are. What the old ones were made from is left to the compiler,
    which drops it.
    """
    found = [op for op in _operations(module.operation) if op.name == _RANDOM_BITS]
    for op in found:
        seed = _seed(op.operands[0], set())
        if seed is None:
            continue

        def made(name: str, kind: str, operands: list[Any], op: Any = op, **attributes: str) -> Any:
            return ir.Operation.create(
                name,
                results=[ir.Type.parse(kind)],
                operands=operands,
                attributes={key: ir.Attribute.parse(text) for key, text in attributes.items()},
                ip=ir.InsertionPoint(op),
                loc=op.location,
            ).results[0]

        key = made("stablehlo.bitcast_convert", "tensor<ui64>", [seed])
        key = made("stablehlo.reshape", "tensor<1xui64>", [key])
        zero = made("stablehlo.constant", "tensor<1xui64>", [], value="dense<0> : tensor<1xui64>")
        pair = "tensor<2xui64>"
        state = made("stablehlo.concatenate", pair, [key, zero], dimension="0 : i64")
        bits = ir.Operation.create(
            _RANDOM_BITS,
            results=[ir.Type.parse(pair), op.results[1].type],
            operands=[state],
            attributes={"rng_algorithm": ir.Attribute.parse("#stablehlo<rng_algorithm DEFAULT>")},
            ip=ir.InsertionPoint(op),
            loc=op.location,
        )
        op.results[1].replace_all_uses_with(bits.results[1])


_RANDOM_BITS = "stablehlo.rng_bit_generator"


def _seed(value: Any, seen: set[int]) -> Any:
    """The two 32-bit numbers that a generator's state was made from; None where there are none."""
    if str(value.type) in ("tensor<2xi32>", "tensor<2xui32>"):
        return value
    if not hasattr(value.owner, "operands"):  # an argument of a block
        return None
    for operand in value.owner.operation.operands:
        if hash(operand) not in seen:
            seen.add(hash(operand))
            found = _seed(operand, seen)
            if found is not None:
                return found
    return None


def _operations(op: Any) -> Iterator[Any]:
    """Every operation below `op`, in order."""
    for region in op.regions:
        for block in region:
            for inner in list(block):
                yield inner.operation
                yield from _operations(inner.operation)


# Loops. The compiler counts the body of a loop once, however often it runs.

_PRODUCTS = ("stablehlo.dot", "stablehlo.dot_general")
_SAME_VALUE = (
    "stablehlo.reshape",
    "stablehlo.convert",
    "stablehlo.broadcast_in_dim",
    "stablehlo.optimization_barrier",
    "mhlo.copy",
)


def loop_costs(module: Any) -> dict[str, Any]:
    """FLOPs of all matrix products, those that the compiler's count leaves out, what is unknown.

    A loop of n turns lacks n - 1 of them. TensorFlow's loops count from 0 to a constant; of others
    the turns are `unknown`, and taken for one.
    """
    functions = {
        json.loads(str(op.attributes["sym_name"])): op
        for op in _operations(module.operation)
        if op.name == "func.func"
    }
    loops = [op for op in _operations(module.operation) if op.name == "stablehlo.while"]
    turns = [_turns(loop, functions) for loop in loops]
    every, once = (
        _product_flops(functions["main"], functions, every_turn=flag) if "main" in functions else 0
        for flag in (True, False)
    )
    known = [n for n in turns if n is not None]
    return {
        "product_flops": every,
        "missing_flops": every - once,
        "turns": known,
        "unknown": len(turns) - len(known),
    }


def _product_flops(op: Any, functions: dict[str, Any], *, every_turn: bool) -> float:
    """Of all matrix products below `op`: two for each multiplied pair."""
    total = 0.0
    for region in op.regions:
        for block in region:
            for view in block:
                inner = view.operation
                if inner.name in _PRODUCTS:
                    total += _flops_of_product(inner)
                    continue
                turns = 1
                if inner.name == "stablehlo.while" and every_turn:
                    turns = _turns(inner, functions) or 1
                elif inner.name == "func.call":
                    inner = functions[_callee(inner)]
                total += turns * _product_flops(inner, functions, every_turn=every_turn)
    return total


def _flops_of_product(op: Any) -> float:
    left = _shape(op.operands[0])
    dims = [len(left) - 1]
    if op.name == "stablehlo.dot_general":
        numbers = str(op.attributes["dot_dimension_numbers"])
        found = re.search(r"lhs_contracting_dimensions = \[([\d, ]*)\]", numbers)
        dims = [int(dim) for dim in found[1].split(",") if dim.strip()] if found else []
    return 2.0 * math.prod(_shape(op.results[0])) * math.prod(left[dim] for dim in dims)


def _shape(value: Any) -> list[int]:
    found = re.match(r"tensor<((?:\d+x)*)", str(value.type))
    return [int(side) for side in found[1].split("x") if side] if found else []


def _turns(loop: Any, functions: dict[str, Any]) -> int | None:
    """How often the body runs: the least constant that the condition holds a counter against."""
    values = [_constant(operand, [], functions) for operand in loop.operands]
    return min(_bounds(loop.regions[0].blocks[0], values, functions), default=None)


def _bounds(block: Any, values: list[int | None], functions: dict[str, Any]) -> Iterator[int]:
    """Constants on the right of "less than"; `values` are those of the block's arguments."""
    for view in block:
        op = view.operation
        if op.name == "func.call":
            given = [_constant(operand, values, functions) for operand in op.operands]
            yield from _bounds(functions[_callee(op)].regions[0].blocks[0], given, functions)
        elif op.name == "stablehlo.compare" and "LT" in str(op.attributes["comparison_direction"]):
            bound = _constant(op.operands[1], values, functions)
            if bound is not None:
                yield bound


def _constant(value: Any, values: list[int | None], functions: dict[str, Any]) -> int | None:
    """What an integer is known to be; None when only running the program tells.

    A number that comes out of a loop is taken for its counter: the way back through a loop counts
    to that.
    """
    while True:
        if not hasattr(value.owner, "operands"):  # an argument of a block
            number = getattr(value, "arg_number", None)
            return values[number] if number is not None and number < len(values) else None
        op = value.owner.operation
        if op.name == "stablehlo.constant":
            found = re.match(r"dense<(-?\d+)>", str(op.attributes["value"]))
            return int(found[1]) if found else None
        if op.name == "stablehlo.while":
            return _turns(op, functions)
        if op.name not in _SAME_VALUE:
            return None
        value = op.operands[0]


def _callee(op: Any) -> str:
    return str(op.attributes["callee"]).lstrip("@").strip('"')


if __name__ == "__main__":
    main()
