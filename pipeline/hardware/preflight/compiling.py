"""A StableHLO program and a slice -> what the TPU compiler says, from the cache when it said it."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ....components import files
from ....components.stage import Log
from ...fingerprint import canonical
from ..chips import Slice
from . import compile_child, environment, refusal
from .buffers import Buffer, hbm_traffic_bytes, largest_buffers
from .processes import run_child

_FOREIGN = ("TPU_", "LIBTPU", "JAX_", "XLA_", "PYTHON", "PJRT_")
"""Beginnings of variables that would change what is compiled, or for what."""


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What the compiler says of one program, for one replica."""

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
        self, program: bytes, target: Slice, *, model: bytes | None = None, task: str, log: Log
    ) -> Compiled:
        """Takes minutes unless the same program was compiled for the same chip before.

        `model` is the program whose matrix products are those of the model; None: `program`.

        Raises:
            RuntimeError: the compiler failed otherwise than by refusing the program.
        """
        path = self.cache / f"{cache_key(program, target, self.versions, model)}.json"
        with suppress(OSError, ValueError, KeyError):
            return understood(json.loads(path.read_text(encoding="utf-8")), from_cache=True)
        facts = self._run(program, model, target, task, log)
        compiled = understood(facts, from_cache=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(str(path), json.dumps(facts).encode())
        return compiled

    def _run(
        self, program: bytes, model: bytes | None, target: Slice, task: str, log: Log
    ) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="tpuline-preflight-") as folder:
            names = ("program", "model", "result", "hlo")
            source, model_file, result, text = (Path(folder) / name for name in names)
            source.write_bytes(program)
            model_file.write_bytes(model or program)
            request = {
                "program_file": str(source),
                "model_file": str(model_file),
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
            "hbm_traffic_bytes": hbm_traffic_bytes(hlo) if hlo else None,
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
    program: bytes, target: Slice, versions: Mapping[str, str], model: bytes | None = None
) -> str:
    """sha256 of all that decides what the compiler says, and what is counted."""
    parts = {
        "program": hashlib.sha256(program).hexdigest(),
        "model": hashlib.sha256(model or program).hexdigest(),
        "topology": target.topology,
        "chip_config": target.chip.chip_config,
        "versions": dict(versions),
        "version": compile_child.VERSION,
    }
    return hashlib.sha256(canonical(parts).encode()).hexdigest()


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """Without what describes a TPU of this machine, or turns knobs of its compiler."""
    return {name: value for name, value in environ.items() if not name.startswith(_FOREIGN)}


def understood(facts: Mapping[str, Any], *, from_cache: bool) -> Compiled:
    """What `compile_child` wrote. `RuntimeError` for a refusal of another kind than memory or ops.

    `ValueError` or `KeyError` where it is not whole.
    """
    loops, reason = facts["loops"], facts["refusal"]
    too_large = refusal.out_of_memory(reason or "")
    unsupported = refusal.not_lowered(reason or "")
    if not facts["compiled"] and too_large is None and not unsupported:
        raise RuntimeError(f"the TPU compiler failed: {reason}")
    told: dict[str, Any] = dict.fromkeys((*_SIZES, *_COSTS))
    if facts["compiled"]:
        told = {name: facts[name] for name in told}
        told["flops"] += loops["missing_flops"]
    return Compiled(
        **told,
        fits=facts["compiled"],
        peak_bytes=too_large.required_bytes if too_large else _peak_bytes(facts),
        product_flops=loops["product_flops"],
        loop_turns=tuple(loops["turns"]),
        num_unknown_loops=loops["unknown"],
        buffers=tuple(Buffer(**buffer) for buffer in facts["buffers"]),
        unsupported_ops=unsupported,
        refusal=reason,
        compile_s=facts["compile_s"],
        from_cache=from_cache,
    )


_COSTS = ("flops", "bytes_accessed", "hbm_traffic_bytes")
_SIZES = ("argument_bytes", "temporary_bytes", "output_bytes", "alias_bytes", "code_bytes")


def _peak_bytes(facts: Mapping[str, Any]) -> int:
    """What the compiler holds against the HBM that may be used: its refusals count the same."""
    if not facts["compiled"]:
        return 0
    size: int = facts["argument_bytes"] + facts["temporary_bytes"]
    return size + facts["output_bytes"] - facts["alias_bytes"]
