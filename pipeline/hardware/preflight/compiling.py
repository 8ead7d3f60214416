"""A StableHLO program and a slice -> what the TPU compiler says, from the cache when it said it."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ....components import files
from ....components.child_process import run_child
from ....components.stage import Log
from ...fingerprint import canonical
from ..chips import Slice
from . import compile_child, environment, refusal
from .buffers import Buffer, hbm_traffic_bytes, largest_buffers

_FOREIGN = ("TPU_", "LIBTPU", "JAX_", "XLA_", "PYTHON", "PJRT_")
"""Beginnings of variables that would change what is compiled, or for what."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """The step of one bucket alone, of which only matrix products are counted."""

    step: bytes
    model: bytes  # the same without what is computed twice


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What the compiler says of a step that is of one bucket, for one replica.

    The program is that of all buckets: sizes, buffers and compile time are its own.
    """

    fits: bool
    peak_bytes: int  # arguments + temporaries + outputs beyond the arguments; needed, if too many
    argument_bytes: int | None  # None: it says only how much is needed
    temporary_bytes: int | None
    output_bytes: int | None
    alias_bytes: int | None  # of the outputs, that take the place of arguments
    code_bytes: int | None  # in HBM as well, beside what may be used
    flops: float | None  # every turn of a loop counted
    product_flops: float  # of the matrix products that the model needs, each counted once
    bytes_accessed: float | None  # in any memory, as the compiler counts; a loop's body once
    hbm_traffic_bytes: float | None  # read and written; None with loops or unreadable programs
    loop_turns: tuple[int, ...]
    num_unknown_loops: int  # whose turns are taken for one
    buffers: tuple[Buffer, ...]  # the largest first; not all are alive at once
    unsupported_ops: tuple[str, ...]
    refusal: str | None  # the compiler's words
    compile_s: float
    from_cache: bool

    @property
    def moved_bytes(self) -> float | None:
        """What a step moves in HBM, or more than that where it is not known."""
        known = self.hbm_traffic_bytes
        return known if known is not None else self.bytes_accessed


@dataclass(frozen=True, kw_only=True)
class Compiler:
    """The TPU compiler in its environment."""

    python: Path
    versions: Mapping[str, str]
    cache: Path

    def compile(
        self, program: bytes, target: Slice, *, counted: Sequence[Counted], task: str, log: Log
    ) -> tuple[Compiled, ...]:
        """Takes minutes unless the same program was compiled for the same chip before.

        One result for each of `counted`, the buckets between which `program` chooses.

        Raises:
            RuntimeError: the compiler failed otherwise than by refusing the program.
        """
        path = self.cache / f"{cache_key(program, counted, target, self.versions)}.json"
        with suppress(OSError, ValueError, KeyError):
            return understood(json.loads(path.read_text(encoding="utf-8")), from_cache=True)
        facts = self._run(program, counted, target, task, log)
        compiled = understood(facts, from_cache=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(str(path), json.dumps(facts).encode())
        return compiled

    def _run(
        self, program: bytes, counted: Sequence[Counted], target: Slice, task: str, log: Log
    ) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="tpuline-preflight-") as folder:
            source, result, text = (Path(folder) / name for name in ("program", "result", "hlo"))
            source.write_bytes(program)
            parts = [part for each in counted for part in (each.step, each.model)]
            files_of_parts = [Path(folder) / f"counted-{i}" for i in range(len(parts))]
            for file, part in zip(files_of_parts, parts, strict=True):
                file.write_bytes(part)
            request = {
                "program_file": str(source),
                "counted_files": [str(file) for file in files_of_parts],
                "topology": target.topology,
                "chip_config": target.chip.chip_config,
                "result_file": str(result),
                "text_file": str(text),
            }
            run_child(
                [str(self.python), "-I", str(compile_child.__file__)],
                task=task,
                log=log,
                given=json.dumps(request).encode(),
                environ=clean(os.environ),
            )
            facts: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
            hlo = text.read_text(encoding="utf-8")
        return facts | {
            "buffers": [asdict(buffer) for buffer in largest_buffers(hlo)],
            "hbm_traffic_bytes": [
                hbm_traffic_bytes(hlo, branch=i, num_branches=len(counted)) if hlo else None
                for i in range(len(counted))
            ],
        }


def compiler(log: Log) -> Compiler:
    """The compiler of this machine; its environment is made when there is none.

    Raises:
        ValueError, RuntimeError: see `environment.compiler_python`.
    """
    python = environment.compiler_python(os.environ, log)
    return Compiler(
        python=python,
        versions=environment.versions(python),
        cache=files.cache_folder() / "preflight",
    )


def cache_key(
    program: bytes, counted: Sequence[Counted], target: Slice, versions: Mapping[str, str]
) -> str:
    """sha256 of all that decides what the compiler says, and what is counted."""
    parts = {
        "program": hashlib.sha256(program).hexdigest(),
        "counted": [
            hashlib.sha256(part).hexdigest() for each in counted for part in (each.step, each.model)
        ],
        "topology": target.topology,
        "chip_config": target.chip.chip_config,
        "versions": dict(versions),
        "version": compile_child.VERSION,
    }
    return hashlib.sha256(canonical(parts).encode()).hexdigest()


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """Without what describes a TPU of this machine, or turns knobs of its compiler."""
    return {name: value for name, value in environ.items() if not name.startswith(_FOREIGN)}


def understood(facts: Mapping[str, Any], *, from_cache: bool) -> tuple[Compiled, ...]:
    """What `compile_child` wrote, for each bucket.

    The compiler's own count is of the bucket with most FLOPs; of others it differs by the matrix
    products.

    Raises:
        RuntimeError: a refusal of another kind than memory or ops.
        ValueError, KeyError: it is not whole.
    """
    counts, reason = facts["loops"], facts["refusal"]
    steps, models = counts[::2], counts[1::2]
    too_large = refusal.out_of_memory(reason or "")
    unsupported = refusal.not_lowered(reason or "")
    if not facts["compiled"] and too_large is None and not unsupported:
        raise RuntimeError(f"the TPU compiler failed: {reason}")
    told: dict[str, Any] = dict.fromkeys((*_SIZES, "bytes_accessed"))
    if facts["compiled"]:
        told = {name: facts[name] for name in told}
    seen = max(step["product_flops"] - step["missing_flops"] for step in steps)

    def of_one(i: int) -> Compiled:
        flops, traffic = None, None
        if facts["compiled"]:
            flops = facts["flops"] - seen + steps[i]["product_flops"]
            traffic = facts["hbm_traffic_bytes"][i]
        return Compiled(
            **told,
            fits=facts["compiled"],
            peak_bytes=too_large.required_bytes if too_large else _peak_bytes(facts),
            flops=flops,
            product_flops=models[i]["product_flops"],
            hbm_traffic_bytes=traffic,
            loop_turns=tuple(steps[i]["turns"]),
            num_unknown_loops=steps[i]["unknown"],
            buffers=tuple(Buffer(**buffer) for buffer in facts["buffers"]),
            unsupported_ops=unsupported,
            refusal=reason,
            compile_s=facts["compile_s"],
            from_cache=from_cache,
        )

    return tuple(of_one(i) for i in range(len(steps)))


_SIZES = ("argument_bytes", "temporary_bytes", "output_bytes", "alias_bytes", "code_bytes")


def _peak_bytes(facts: Mapping[str, Any]) -> int:
    """What the compiler holds against the HBM that may be used: its refusals count the same."""
    if not facts["compiled"]:
        return 0
    size: int = facts["argument_bytes"] + facts["temporary_bytes"]
    return size + facts["output_bytes"] - facts["alias_bytes"]
